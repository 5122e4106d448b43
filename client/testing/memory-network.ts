/** The network between one device and an edge in memory: requests and WebSockets, which fail while it is taken away. */
import type { ClientSocket } from "../../worker/testing/web-socket.ts";
import type { SyncOptions } from "../store-options.ts";

/** What a network needs of the edge. */
export interface NetworkEdge {
  fetch(request: Request): Promise<Response>;
}

export const ORIGIN = "https://edge.test";

/** A device's own network to an edge in memory. */
export interface MemoryNetwork {
  /** Whether the device can reach the edge. */
  readonly isConnected: boolean;
  /** Requests fail from now on. Those under way fail too: the edge may have performed them. The feed socket breaks. */
  disconnect(): void;
  /** Gives the network back. A store notices it at its next attempt: call its `sync()` to make one. */
  connect(): void;
  /** The `sync` of a store's options, for a store of this name at the edge. */
  to(store: string): Required<Pick<SyncOptions, "fetch" | "webSocket">> & { readonly url: string };
  /** Sends a request to the edge, as the global `fetch` would. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** Opens a WebSocket to the edge, as `new WebSocket` would. */
  webSocket(url: string, protocols?: readonly string[]): WebSocket;
}

export class EdgeNetwork implements MemoryNetwork {
  readonly #edge: NetworkEdge;
  /** Breaks what is under way. */
  #line = new AbortController();

  constructor(edge: NetworkEdge) {
    this.#edge = edge;
  }

  get isConnected(): boolean {
    return !this.#line.signal.aborted;
  }

  disconnect(): void {
    this.#line.abort(new TypeError("The network was taken away."));
  }

  connect(): void {
    if (!this.isConnected) this.#line = new AbortController();
  }

  to(store: string): ReturnType<MemoryNetwork["to"]> {
    return { url: `${ORIGIN}/v1/${store}`, fetch: this.fetch, webSocket: (url, protocols) => this.webSocket(url, protocols) };
  }

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const { signal } = this.#line;
    const request = new Request(input, init);
    // A promise, so that nothing is done in the caller's turn.
    await Promise.resolve();
    const response = await untilAborted([signal, request.signal], () => this.#edge.fetch(request));
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
    return isStream && response.body !== null ? new Response(response.body.pipeThrough(breaking(signal)), response) : response;
  };

  webSocket(url: string, protocols: readonly string[] = []): WebSocket {
    const socket = new MemoryWebSocket(url);
    const { signal } = this.#line;
    const headers = { upgrade: "websocket", ...(protocols.length > 0 && { "sec-websocket-protocol": protocols.join(", ") }) };
    const open = async () => {
      const response = await untilAborted([signal], () => this.#edge.fetch(new Request(url.replace(/^ws/, "http"), { headers })));
      const client = socketOf(response);
      if (client === null) throw new Error(`The edge answered the WebSocket with ${response.status}.`);
      socket.attach(client, response.headers.get("sec-websocket-protocol") ?? "", signal);
    };
    open().catch(() => socket.fail());
    return socket as unknown as WebSocket; // what a feed socket uses of one
  }
}

/** The promise of `work`, or the reason of the first signal that is aborted. */
async function untilAborted<T>(signals: readonly AbortSignal[], work: () => Promise<T>): Promise<T> {
  const aborted = AbortSignal.any([...signals]);
  aborted.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(aborted.reason);
  aborted.addEventListener("abort", abort);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    aborted.removeEventListener("abort", abort);
  }
}

/** Passes bytes on until the signal is aborted. */
function breaking(signal: AbortSignal): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    start(controller) {
      const abort = () => controller.error(signal.reason);
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    },
  });
}

/** The WebSocket that the stand-in's response opens, if any. */
function socketOf(response: Response): ClientSocket | null {
  const socket: unknown = Reflect.get(response, "webSocket");
  return (socket as ClientSocket | null | undefined) ?? null; // the stand-in's own class
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** The device's WebSocket. */
class MemoryWebSocket extends EventTarget {
  readonly url: string;
  protocol = "";
  #state = CONNECTING;
  #client: ClientSocket | undefined;

  constructor(url: string) {
    super();
    this.url = url;
  }

  get readyState(): number {
    return this.#state;
  }

  attach(client: ClientSocket, protocol: string, signal: AbortSignal): void {
    if (this.#state !== CONNECTING) return client.lose();
    this.#client = client;
    this.protocol = protocol;
    this.#state = OPEN;
    client.addEventListener("message", ({ data }) => {
      if (this.#state === OPEN) this.dispatchEvent(Object.assign(new Event("message"), { data }));
    });
    client.addEventListener("close", (event) => this.#end(event));
    signal.addEventListener("abort", () => this.fail(), { once: true });
    this.dispatchEvent(new Event("open"));
    client.accept();
  }

  send(data: string | ArrayBuffer): void {
    if (this.#state === CONNECTING) throw new DOMException("The WebSocket is not open yet.", "InvalidStateError");
    if (this.#state === OPEN) this.#client?.send(data);
  }

  close(code?: number, reason?: string): void {
    if (this.#state === CONNECTING) return this.fail();
    if (this.#state !== OPEN) return;
    this.#state = CLOSING;
    this.#client?.close(code, reason);
  }

  /** The connection could not be opened, or broke. */
  fail(): void {
    if (this.#state === CLOSED) return;
    this.#client?.lose();
    this.dispatchEvent(new Event("error"));
    this.#end({ code: 1006, reason: "", wasClean: false });
  }

  #end(event: { readonly code: number; readonly reason: string; readonly wasClean: boolean }): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    this.dispatchEvent(Object.assign(new Event("close"), event));
  }
}
