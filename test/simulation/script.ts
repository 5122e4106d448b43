/** A program beside the edge, on a server: it has the client's HTTP entry, a clock that is right, and a network that may fail. */
import { EPOCH, type Ground } from "./ground.ts";
import type { Network } from "./network.ts";
import { abortsOf } from "./platform/abort-signal.ts";
import type { Client } from "./platform/bundle.ts";
import { cryptoOf } from "./platform/crypto.ts";
import { dateOf, timersOf } from "./platform/date.ts";
import type { EventLoop } from "./platform/event-loop.ts";

const ONLINE = { isOffline: false };

export class Script implements EventLoop {
  readonly name: string;
  readonly client: Client;
  readonly fetch: ReturnType<Network["fetchOf"]>;
  readonly #ground: Ground;

  constructor(ground: Ground, name: string, network: Network) {
    this.name = name;
    this.#ground = ground;
    this.fetch = network.fetchOf(this, ONLINE);
    const random = ground.random.fork(name);
    this.client = ground.product.client({
      ...timersOf(this),
      ...abortsOf(this),
      console,
      Math: Object.assign(Object.create(Math), { random: () => random.next() }),
      Date: dateOf(() => EPOCH + ground.scheduler.now),
      crypto: cryptoOf(random),
      fetch: this.fetch,
    });
  }

  get now(): number {
    return this.#ground.scheduler.now;
  }

  post(milliseconds: number, task: () => void): void {
    this.#ground.scheduler.after(milliseconds, () => {
      try {
        task();
      } catch (error) {
        this.#ground.observe({ kind: "uncaught", where: this.name, error });
      }
    });
  }

  pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.post(milliseconds, resolve));
  }
}
