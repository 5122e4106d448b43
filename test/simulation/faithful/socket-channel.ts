/** A feed socket to the real edge, compared with the one of the world. */
import { PING, PONG } from "../../../shared/wire/feed-socket.ts";
import type { Comparison } from "./comparison.ts";
import type { RealResponse } from "./real-edge.ts";
import type { ChannelItem } from "./recording.ts";

type RealSocket = NonNullable<RealResponse["webSocket"]>;

/** Milliseconds in which the real edge says what the world's has said. */
export const PATIENCE = 5_000;

export class SocketChannel {
  readonly #where: string;
  readonly #socket: RealSocket;
  readonly #comparison: Comparison;
  readonly #received: string[] = [];
  /** Of each ping on its way, what to do when it is answered; undefined for the world's own. */
  readonly #pings: ((() => void) | undefined)[] = [];
  #closed: { readonly code: number; readonly reason: string } | undefined;
  #isDropped = false;
  #onNews: () => void = () => undefined;

  constructor(where: string, socket: RealSocket, comparison: Comparison) {
    this.#where = where;
    this.#socket = socket;
    this.#comparison = comparison;
    socket.addEventListener("message", ({ data }) => this.#message(String(data)));
    socket.addEventListener("close", ({ code, reason }) => {
      this.#closed = { code, reason };
      for (const answer of this.#pings) answer?.();
      this.#onNews();
    });
    socket.accept();
  }

  #message(data: string): void {
    const answer = data === PONG ? this.#pings.shift() : undefined;
    if (answer !== undefined) return answer();
    this.#received.push(data);
    this.#onNews();
  }

  async play(item: ChannelItem, place: number): Promise<void> {
    if (this.#isDropped) return;
    const where = `#${place} on ${this.#where}`;
    switch (item.kind) {
      case "up":
        return this.#send(item.data);
      case "down": {
        await this.#until(() => this.#received.length > 0 || this.#closed !== undefined);
        const real = this.#received.shift();
        if (real === undefined) return this.#comparison.differ(where, item.data, this.#closed);
        return this.#comparison.texts(where, item.data, real);
      }
      case "closed-by-edge":
        await this.#until(() => this.#closed !== undefined);
        if (this.#closed?.code !== item.code) this.#comparison.differ(`${where} close`, item.code, this.#closed);
        return;
      case "closed-by-caller":
        await this.finish();
        return this.drop();
      default:
        throw new Error(`a feed socket has no ${item.kind}`);
    }
  }

  /** Returns when the edge has handled it. */
  async #send(data: string): Promise<void> {
    if (this.#closed !== undefined) return;
    if (data === PING) this.#pings.push(undefined);
    this.#socket.send(data);
    await this.#ping();
  }

  async #ping(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pings.push(resolve);
    this.#socket.send(PING);
    await promise;
  }

  /** @returns when it is so, or after a while that is long enough */
  async #until(isSo: () => boolean): Promise<void> {
    if (isSo()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE);
      this.#onNews = () => {
        if (!isSo()) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#onNews = () => undefined;
  }

  async finish(): Promise<void> {
    if (this.#isDropped) return;
    if (this.#closed === undefined) await this.#ping();
    for (const data of this.#received.splice(0)) this.#comparison.differ(`at the end of ${this.#where}`, "nothing", data);
  }

  drop(): void {
    if (!this.#isDropped && this.#closed === undefined) this.#socket.close();
    this.#isDropped = true;
  }
}
