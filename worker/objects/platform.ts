/**
 * What only Cloudflare's runtime has: the base class of Durable Objects, WebSocket pairs, and responses that open a WebSocket. The rest of
 * `worker/` gets them here, so that an edge can also run without them: in Node, on the stand-in of `worker/testing/`.
 */

/** What a state of the stand-in has besides. The runtime has globals for it. */
interface StandInState {
  now(): number;
  webSocketPair(): { 0: WebSocket; 1: WebSocket };
}

/** The state and the environment are all that the base class gives to an object. */
class PlainObject {
  readonly ctx: unknown;
  readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}

type Workers = Pick<typeof import("cloudflare:workers"), "DurableObject">;

/** Undefined outside of the runtime, in which alone a module has this name. A Worker can't start without it, so nothing is hidden there. */
const workers: Workers | undefined = await import("cloudflare:workers").catch(() => undefined);

export const DurableObject = workers?.DurableObject ?? (PlainObject as unknown as Workers["DurableObject"]);

/** The object's clock: milliseconds since 1970. The one of a stand-in can be moved. */
export function now(state: DurableObjectState): number {
  return workers === undefined ? standIn(state).now() : Date.now();
}

/** The two ends of a new WebSocket: `0` goes to the client, `1` is the object's. */
export function webSocketPair(state: DurableObjectState): { 0: WebSocket; 1: WebSocket } {
  return workers === undefined ? standIn(state).webSocketPair() : new WebSocketPair();
}

/** The answer to a message that the runtime gives without waking the object. */
export function autoResponse(request: string, response: string): WebSocketRequestResponsePair {
  return workers === undefined
    ? ({ request, response } as WebSocketRequestResponsePair)
    : new WebSocketRequestResponsePair(request, response);
}

/** The response that opens a WebSocket. */
export function upgradeResponse(webSocket: WebSocket, headers: Record<string, string> = {}): Response {
  if (workers !== undefined) return new Response(null, { status: 101, webSocket, headers });
  // Other runtimes allow nobody to make a response with this status.
  return Object.defineProperties(new Response(null, { headers }), { status: { value: 101 }, webSocket: { value: webSocket } });
}

/** The WebSocket that a response opens; null if it opens none. */
export function webSocketOf({ webSocket }: Response): WebSocket | null {
  return webSocket ?? null;
}

function standIn(state: DurableObjectState): StandInState {
  return state as unknown as StandInState; // outside of the runtime only the stand-in makes states
}
