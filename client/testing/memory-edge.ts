/**
 * A whole edge in memory, for an app's own tests in Node: the code of the Worker, on a stand-in for Cloudflare's platform. It needs neither
 * wrangler nor a port, and changes nothing global.
 *
 *     device ── MemoryNetwork ──► edge.fetch ──► objects with storage, alarms and WebSockets (worker/testing/)
 */
import * as option from "../../shared/options.ts";
import { openPlatform, type Platform } from "../../worker/testing/objects.ts";
import { loadSqlite } from "../../worker/testing/sqlite.ts";
import { MemoryClock, nextTurn } from "./memory-clock.ts";
import { EdgeNetwork, type MemoryNetwork, ORIGIN } from "./memory-network.ts";

/** What `createEdge` of `headwater/edge` returns. */
export interface EdgeParts {
  fetch(request: never, env: never, context?: never): unknown;
  readonly StreamObject: new (state: never, env: never) => object;
  readonly LogObject: new (state: never, env: never) => object;
  readonly SubscriptionObject: new (state: never, env: never) => object;
}

export interface MemoryEdgeOptions {
  /** The environment of the Worker besides its objects: settings, and what handlers of subscriptions use. It is put over `{ AUTH: "open", LOG: "faults" }`. */
  readonly env?: Readonly<Record<string, unknown>>;
}

export const MEMORY_EDGE_OPTIONS = { env: option.withPreset(option.object, {}) } satisfies option.OptionsOf<MemoryEdgeOptions>;

export interface MemoryEdge {
  /** A network of a device's own. */
  network(): MemoryNetwork;
  /** Sends a request to the edge, over a network that is always there. A path, such as `/health`, is enough. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Resolves when nothing is under way at the edge, e.g. when its subscriptions have handled what was pushed. */
  settled(): Promise<void>;
  /**
   * Moves the edge's clock. Whatever is due meanwhile is run in order: retries of subscriptions, publications, feed sockets whose credentials
   * expire. The timers of devices are not moved.
   */
  advance(milliseconds: number): Promise<void>;
  /** All objects lose their memory, requests under way fail, and feed sockets close, as in a deployment. What is stored stays. */
  restart(): void;
  /** Takes all networks away, and stops the edge's clock. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const OBJECTS = { STREAMS: "StreamObject", LOGS: "LogObject", SUBSCRIPTIONS: "SubscriptionObject" } as const;

/**
 * @param edge what `createEdge` returned, e.g. the default export of the app's own Worker
 * @throws Error outside of Node, and in a Node before 22.13
 */
export async function openMemoryEdge(edge: EdgeParts, options: MemoryEdgeOptions = {}): Promise<MemoryEdge> {
  const { env } = option.completeOptions(options, MEMORY_EDGE_OPTIONS);
  const clock = new MemoryClock();
  const platform = openPlatform({
    bindings: Object.keys(OBJECTS),
    classOf: (binding) => edge[OBJECTS[binding as keyof typeof OBJECTS]],
    vars: { AUTH: "open", LOG: "faults", ...env },
    clock,
    openDatabase: await loadSqlite(),
    onUncaught: (error, object) => console.error(object, error),
  });
  return new OpenEdge(edge, platform, clock);
}

class OpenEdge implements MemoryEdge {
  readonly #edge: EdgeParts;
  readonly #platform: Platform;
  readonly #clock: MemoryClock;
  readonly #networks: MemoryNetwork[] = [];
  readonly #own: MemoryNetwork;
  /** Requests under way. */
  #requests = 0;

  constructor(edge: EdgeParts, platform: Platform, clock: MemoryClock) {
    this.#edge = edge;
    this.#platform = platform;
    this.#clock = clock;
    this.#own = this.network();
  }

  network(): MemoryNetwork {
    const network = new EdgeNetwork({ fetch: (request) => this.#handle(request) });
    this.#networks.push(network);
    return network;
  }

  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    return this.#own.fetch(input instanceof Request ? input : new URL(input, ORIGIN), init);
  }

  async #handle(request: Request): Promise<Response> {
    this.#requests++;
    try {
      const context = { waitUntil: () => undefined, passThroughOnException: () => undefined };
      const response = await Reflect.apply(this.#edge.fetch, this.#edge, [request, this.#platform.env, context]);
      return response as Response; // a Worker returns nothing else
    } finally {
      this.#requests--;
    }
  }

  async settled(): Promise<void> {
    for (;;) {
      // Twice, since what has ended may have promised something more.
      await nextTurn();
      if (!this.#isIdle()) continue;
      await nextTurn();
      if (this.#isIdle()) return;
    }
  }

  #isIdle(): boolean {
    return this.#requests === 0 && this.#platform.isIdle && !this.#clock.isDue;
  }

  async advance(milliseconds: number): Promise<void> {
    await this.settled();
    await this.#clock.advance(milliseconds, () => this.settled());
    await this.settled();
  }

  restart(): void {
    this.#platform.reset();
  }

  async close(): Promise<void> {
    for (const network of this.#networks) network.disconnect();
    await nextTurn();
    this.#clock.stop();
    this.#platform.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
