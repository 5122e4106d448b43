/**
 * The network between callers and the edge. Requests and answers are lost, doubled, late, and overtake each other, each by itself. What is
 * lost is noticed at once, as a broken connection, or never. A device that is offline reaches nobody, and its open connections say nothing
 * any more. Messages of a WebSocket stay in order, as TCP keeps them, and a connection breaks with or without a word.
 *
 * Some requests are answered by a stranger (`strangers.ts`).
 *
 * Left out: bits that change on the way, since TLS finds them.
 */
import type { ClientSocket } from "../../worker/testing/web-socket.ts";
import type { Ground } from "./ground.ts";
import type { EventLoop } from "./platform/event-loop.ts";
import type { Connection, FarSide } from "./platform/web-socket.ts";
import { isEventStream, throughStrangers } from "./strangers.ts";

/** A caller. */
export interface Party {
  readonly isOffline: boolean;
}

/** What the network reaches. */
export interface Destination {
  handle(request: Request): Promise<EdgeResponse>;
}

/** A response, with the client's end of a WebSocket if the request was an upgrade that was accepted. */
export type EdgeResponse = Response & { readonly webSocket?: ClientSocket | null };

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

export class Network {
  readonly #ground: Ground;
  readonly #edge: Destination;

  constructor(ground: Ground, edge: Destination) {
    this.#ground = ground;
    this.#edge = edge;
  }

  /** `fetch` as a party has it. */
  fetchOf(loop: EventLoop, party: Party): Fetch {
    return (input, init) => this.#fetch(loop, party, String(input), init);
  }

  #fetch(loop: EventLoop, party: Party, url: string, init: RequestInit = {}): Promise<Response> {
    const { random } = this.#ground;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const { signal, ...others } = init;
    const fail = () => loop.post(random.between(1, 50), () => reject(new TypeError("Failed to fetch")));
    if (signal?.aborted === true) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    if (party.isOffline) fail();
    else {
      this.#carry("lose-request", fail, () => {
        void this.#answered(url, others).then((answer) => {
          if (answer === undefined) return fail();
          let isAnswered = false;
          this.#carry("lose-answer", fail, () => {
            if (isAnswered) return;
            isAnswered = true;
            if (party.isOffline) return fail();
            loop.post(0, () => resolve(answer.body === undefined ? answer.response : streamed(answer, this.#ground, loop, signal)));
          });
        });
      });
    }
    return promise;
  }

  /** The edge's answer with its whole text, or with the stream of an answer that has no end. */
  async #answered(url: string, init: RequestInit): Promise<Answer | undefined> {
    const response = await throughStrangers(this.#ground, url, init, (...request) => this.#ask(...request)).catch(() => undefined);
    if (response === undefined) return undefined;
    return isEventStream(response) ? { response, body: response.body } : { response };
  }

  async #ask(url: string, init: RequestInit): Promise<Response> {
    const response = await this.#edge.handle(new Request(url, init));
    const headers = Object.fromEntries(response.headers);
    const { status } = response;
    if (isEventStream(response)) return response;
    const text = await response.text();
    this.#ground.record(`${init.method ?? "GET"} ${url} ${String(init.body ?? "")} ${status} ${text}\n`);
    return new Response(status === 204 || status === 304 ? null : text, { status, headers });
  }

  #carry(loss: "lose-request" | "lose-answer", fail: () => void, deliver: () => void): void {
    const { scheduler, random, faults } = this.#ground;
    const copies = faults.strikes("double") ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (faults.strikes(loss)) {
        if (copies === 1 && random.chance(0.5)) fail();
        continue;
      }
      const late = faults.strikes("delay") ? random.spread(200, 120_000) : 0;
      scheduler.after(random.between(5, 60) + late, deliver);
    }
  }

  /** Opens a WebSocket to the edge. */
  connect(loop: EventLoop, party: Party, url: string, protocols: readonly string[]): Connection {
    return new Line(this.#ground, this.#edge, loop, party).open(url, protocols);
  }
}

interface Answer {
  readonly response: Response;
  readonly body?: Response["body"];
}

/** A response whose body comes in pieces, each by itself, until the connection breaks or the caller aborts the request. */
function streamed(
  { response, body }: Answer,
  { random, faults }: Ground,
  loop: EventLoop,
  signal: AbortSignal | null | undefined,
): Response {
  const reader = body?.getReader();
  let isBroken = false;
  const end = () => {
    isBroken = true;
    // A stream that is cancelled may have failed already: nobody reads it any more.
    reader?.cancel().catch(() => undefined);
  };
  const stream = new ReadableStream({
    start(controller) {
      signal?.addEventListener("abort", () => {
        if (isBroken) return;
        end();
        controller.error(signal.reason);
      });
      const next = async (): Promise<void> => {
        const piece = await reader?.read().catch(() => undefined);
        if (isBroken) return;
        if (piece === undefined || faults.strikes("lose-answer")) {
          end();
          return loop.post(1, () => controller.error(new TypeError("network error")));
        }
        loop.post(random.between(5, 60), () => {
          if (isBroken) return;
          if (piece.done) return controller.close();
          controller.enqueue(piece.value);
          void next();
        });
      };
      void next();
    },
    cancel: end,
  });
  return new Response(stream, { status: response.status, headers: response.headers });
}

/** One WebSocket. */
class Line implements Connection {
  readonly #ground: Ground;
  readonly #edge: Destination;
  readonly #loop: EventLoop;
  readonly #party: Party;
  #near: FarSide | undefined;
  #far: ClientSocket | undefined;
  /** Nothing comes through any more, and nobody was told. */
  #isDead = false;
  #isClosed = false;
  /** When the last message of each direction arrives. */
  #upAt = 0;
  #downAt = 0;

  constructor(ground: Ground, edge: Destination, loop: EventLoop, party: Party) {
    this.#ground = ground;
    this.#edge = edge;
    this.#loop = loop;
    this.#party = party;
  }

  open(url: string, protocols: readonly string[]): this {
    const headers = new Headers({ upgrade: "websocket" });
    if (protocols.length > 0) headers.set("sec-websocket-protocol", protocols.join(", "));
    this.#up(() => void this.#upgrade(new Request(url.replace(/^ws/, "http"), { headers })));
    return this;
  }

  async #upgrade(request: Request): Promise<void> {
    if (this.#ground.faults.strikes("no-upgrade")) return this.#down(() => this.#end(1006, ""));
    const response = await this.#edge.handle(request).catch(() => undefined);
    const far = response?.webSocket;
    if (response === undefined || far === undefined || far === null) return this.#down(() => this.#end(1006, ""));
    if (this.#isClosed) return far.lose();
    this.#far = far;
    const protocol = response.headers.get("sec-websocket-protocol") ?? "";
    this.#down(() => this.#near?.opened(protocol));
    far.addEventListener("message", ({ data }) => {
      this.#ground.record(`< ${String(data)}\n`);
      this.#down(() => this.#near?.message(String(data)));
    });
    far.addEventListener("close", ({ code, reason }) => this.#down(() => this.#end(code, reason)));
    far.accept();
  }

  attach(near: FarSide): void {
    this.#near = near;
  }

  send(data: string): void {
    this.#ground.record(`> ${data}\n`);
    this.#up(() => this.#far?.send(data));
  }

  close(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const isClean = code !== 1006;
    this.#up(() => (isClean ? this.#far?.close(code, reason) : this.#far?.lose()));
    this.#loop.post(1, () => this.#near?.closed(code, reason));
  }

  #end(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#near?.closed(code, reason);
  }

  #up(deliver: () => void): void {
    const { scheduler } = this.#ground;
    this.#upAt = Math.max(this.#upAt, scheduler.now + this.#latency());
    if (this.#breaks("lose-request")) return;
    scheduler.after(this.#upAt - scheduler.now, () => {
      if (!this.#isDead) deliver();
    });
  }

  #down(deliver: () => void): void {
    const { scheduler } = this.#ground;
    this.#downAt = Math.max(this.#downAt, scheduler.now + this.#latency());
    if (this.#breaks("lose-answer")) return;
    scheduler.after(this.#downAt - scheduler.now, () => {
      if (this.#party.isOffline) this.#isDead = true;
      if (!this.#isDead) this.#loop.post(0, deliver);
    });
  }

  #latency(): number {
    const { random, faults } = this.#ground;
    return random.between(5, 60) + (faults.strikes("delay") ? random.spread(200, 20_000) : 0);
  }

  /** TCP loses nothing in between: what is lost, breaks the connection, with a word or without. */
  #breaks(loss: "lose-request" | "lose-answer"): boolean {
    const { random, faults, scheduler } = this.#ground;
    if (this.#party.isOffline) this.#isDead = true;
    if (this.#isDead || !faults.strikes(loss)) return this.#isDead;
    this.#isDead = true;
    if (random.chance(0.5)) this.#loop.post(random.between(1, 50), () => this.#end(1006, ""));
    // The edge's side notices in the end.
    scheduler.after(random.between(1, 60_000), () => this.#far?.lose());
    return true;
  }
}
