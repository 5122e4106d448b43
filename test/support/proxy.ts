/**
 * A TCP proxy between a web page and the edge. Its fault can be switched while it runs. Faults act on bytes, and so on connections that are
 * already open: a browser reuses its connections, and would rarely meet a fault that affects only new ones.
 *
 *     page ──► link ──► edge      one link for each connection of the web page
 *          ◄──      ◄──
 *
 * What it may do with bytes: refuse, swallow, delay and break off. What it may not: change bytes or their order, because TCP would not do
 * it. So a link that has swallowed bytes stays unusable for good, also after the fault is over.
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { unreachable } from "../../shared/assert.ts";

export type Fault =
  | { readonly kind: "pass" }
  /** Resets open connections, and new ones. */
  | { readonly kind: "refuse" }
  /** Bytes stop in both directions, and nothing is closed. */
  | { readonly kind: "blackhole" }
  /** Each chunk waits, in each direction. */
  | { readonly kind: "delay"; readonly milliseconds: number }
  /**
   * The edge gets the request and answers, but of the answer nothing arrives, and the connection is reset. On a connection
   * that it had kept, Chromium then sends the request once more by itself, even a POST.
   */
  | ({ readonly kind: "drop-answers" } & Choice)
  /** The first bytes of an answer arrive, and then the end of the connection. An answer that is no longer arrives whole. */
  | ({ readonly kind: "cut-answers"; readonly bytes: number } & Choice);

interface Choice {
  /** Only answers to requests of this method, e.g. `POST`. Default: all. */
  readonly to?: string;
  /** From the first answer to a request of this method on. Default: at once. */
  readonly from?: string;
  /** So many answers, and the fault is over. Default: until it is switched off. */
  readonly times?: number;
}

type Injected = Exclude<Fault["kind"], "pass">;

export class TcpProxy {
  /** What was injected so far: connections refused, chunks swallowed or delayed, answers dropped or cut. */
  readonly injected: Record<Injected, number> = { refuse: 0, blackhole: 0, delay: 0, "drop-answers": 0, "cut-answers": 0 };
  /** Requests that were passed on to the edge, by method. */
  readonly requests = new Map<string, number>();
  readonly #server = createServer((page) => this.#accept(page));
  readonly #links = new Set<Link>();
  readonly #port: number;
  #fault: Fault = { kind: "pass" };
  /** How many answers the fault has met. */
  #met = 0;

  private constructor(port: number) {
    this.#port = port;
  }

  /** @param target what lies behind it, e.g. `http://127.0.0.1:8787` */
  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(Number(new URL(target).port));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return `http://127.0.0.1:${address.port}`;
  }

  get fault(): Fault {
    return this.#fault;
  }

  /** From now on and until the next one. */
  inject(fault: Fault): void {
    this.#fault = fault;
    this.#met = 0;
    for (const link of this.#links) link.faultChanged();
  }

  heal(): void {
    this.inject({ kind: "pass" });
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const link of this.#links) link.reset();
    await once(this.#server, "close");
  }

  /** @internal */
  connectToEdge(): Socket {
    return connect(this.#port, "127.0.0.1");
  }

  /** @internal */
  asked(method: string): void {
    this.requests.set(method, (this.requests.get(method) ?? 0) + 1);
  }

  /** @internal */
  isMeant(method: string, { to = method, from = method }: Choice): boolean {
    return method === to && (this.#met > 0 || method === from);
  }

  /** @internal An answer met the fault; the last of `times` ends it. */
  met(kind: Injected, { times = Number.POSITIVE_INFINITY }: Choice): void {
    this.injected[kind]++;
    if (++this.#met >= times) this.heal();
  }

  #accept(page: Socket): void {
    const link = new Link(this, page);
    this.#links.add(link);
    void link.gone().then(() => this.#links.delete(link));
    link.faultChanged();
  }
}

class Link {
  readonly #proxy: TcpProxy;
  readonly #page: Socket;
  /** Made when there are bytes for it. */
  #edge: Socket | undefined;
  #method = "";
  /** A request is under way and nothing of its answer has come. A browser sends no other one meanwhile. */
  #isAsking = false;
  /** Bytes of the answer that were passed on. */
  #answered = 0;
  #hasSwallowed = false;
  /** One side is gone, and the other was not told. */
  #isHalfOpen = false;
  readonly #ended = new AbortController();
  readonly #pumps: Promise<void>[] = [];

  constructor(proxy: TcpProxy, page: Socket) {
    this.#proxy = proxy;
    this.#page = page;
    this.#pumps.push(this.#pump(page, (chunk) => this.#toEdge(chunk)));
  }

  /** Resolves when both connections are. */
  async gone(): Promise<void> {
    for (const pump of this.#pumps) await pump; // also one that is added meanwhile
  }

  reset(): void {
    this.#ended.abort();
    this.#page.resetAndDestroy();
    this.#edge?.destroy();
  }

  faultChanged(): void {
    const { kind } = this.#proxy.fault;
    if (kind === "refuse") this.#proxy.injected.refuse++;
    if (kind === "refuse" || (kind !== "blackhole" && this.#isHalfOpen)) this.reset();
  }

  async #pump(from: Socket, pass: (chunk: Buffer) => void): Promise<void> {
    from.on("error", () => undefined); // told by the loop
    try {
      for await (const chunk of from) await this.#meetFault(chunk, pass);
    } catch {
      // The connection was reset, by its other end or by this one.
    }
    if (this.#proxy.fault.kind === "blackhole") this.#isHalfOpen = true;
    else if (from === this.#page) this.reset();
    else this.#page.end();
    if (!from.closed) await once(from, "close");
  }

  async #meetFault(chunk: Buffer, pass: (chunk: Buffer) => void): Promise<void> {
    const { fault, injected } = this.#proxy;
    if (fault.kind === "delay") {
      injected.delay++;
      await wait(fault.milliseconds, undefined, { signal: this.#ended.signal });
    }
    // Asked again: what was on its way when the hole opened is lost in it.
    this.#hasSwallowed ||= this.#proxy.fault.kind === "blackhole";
    if (this.#hasSwallowed) injected.blackhole++;
    else pass(chunk);
  }

  #toEdge(chunk: Buffer): void {
    if (!this.#isAsking) {
      this.#isAsking = true;
      this.#method = chunk.toString("latin1").split(" ", 1)[0] ?? "";
      this.#proxy.asked(this.#method);
    }
    this.#openEdge().write(chunk);
  }

  #openEdge(): Socket {
    if (this.#edge === undefined) {
      this.#edge = this.#proxy.connectToEdge();
      this.#pumps.push(this.#pump(this.#edge, (chunk) => this.#toPage(chunk)));
    }
    return this.#edge;
  }

  #toPage(chunk: Buffer): void {
    if (this.#isAsking) this.#answered = 0;
    this.#isAsking = false;
    const left = this.#passable(chunk);
    this.#answered += Math.min(left, chunk.length);
    if (left >= chunk.length) {
      this.#page.write(chunk);
    } else if (left === 0) {
      this.reset();
    } else {
      // An orderly end, so that what is passed on does arrive.
      this.#page.end(chunk.subarray(0, left));
      this.#edge?.destroy();
    }
  }

  /** How many bytes of this part of an answer are to arrive. */
  #passable({ length }: Buffer): number {
    const { fault } = this.#proxy;
    switch (fault.kind) {
      case "pass":
      case "refuse":
      case "blackhole":
      case "delay":
        return length;
      case "drop-answers":
      case "cut-answers": {
        const left = (fault.kind === "cut-answers" ? fault.bytes : 0) - this.#answered;
        if (left >= length || left < 0 || !this.#proxy.isMeant(this.#method, fault)) return length;
        this.#proxy.met(fault.kind, fault);
        return left;
      }
      default:
        return unreachable(fault);
    }
  }
}
