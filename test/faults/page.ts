/** The web page of these tests: the store of one device, and the functions that a test calls from outside. */
import {
  type ConfirmedEvent,
  type EventBody,
  HeadwaterError,
  openStore,
  type Status,
  type Store,
  type StreamEvent,
  StreamNotFoundError,
  VersionConflictError,
} from "../../client/index.ts";
import { Random } from "../support/random.ts";

/** What each event of these tests carries: which commit it is of, and its place among the commit's events. */
export type Mark = { readonly commit: string; readonly n: number; readonly of: number };

/** Told to the test as soon as the page knows it. */
export type Report =
  | { readonly kind: "appended"; readonly streamId: string; readonly commit: string; readonly of: number; readonly firstVersion: number }
  | { readonly kind: "refused"; readonly streamId: string; readonly commit: string }
  /** Pages of the feed are applied up to here. */
  | { readonly kind: "applied"; readonly position: number };

export interface DeviceOptions {
  readonly name: string;
  readonly url: string;
  /** The proxy through which this tab reaches the edge, if it has one of its own. */
  readonly via?: string;
  /** Whether the network is there from the start; default: yes. */
  readonly isOnline?: boolean;
  readonly durability?: "strict" | "relaxed";
  /** Of a request, in milliseconds. */
  readonly timeout?: number;
  readonly pageEvents?: number;
  /** In milliseconds. */
  readonly pollEvery?: number;
}

export interface Writing {
  /** Makes the names of its commits, which no other writing may have. */
  readonly name: string;
  /** Those that are written to on exactly the version that the page knows, and those where any will do. */
  readonly exact: readonly string[];
  readonly any: readonly string[];
  readonly seed: number;
  /** Commits to each stream. Default: until it is told to rest. */
  readonly most?: number;
}

/** All that a user can see of a device. */
export interface Dump {
  readonly streams: Readonly<Record<string, readonly StreamEvent[]>>;
  readonly log: readonly ConfirmedEvent[];
  readonly parked: readonly { readonly streamId: string; readonly events: readonly EventBody[] }[];
  readonly status: Status;
  /** The browser found its own files broken, and has thrown away all that this origin had stored. */
  readonly isWiped: boolean;
}

export class Device {
  #store: Store | undefined;
  #isOnline = true;
  #via: string | undefined;
  #isWriting = false;
  #writing: Promise<unknown> | undefined;
  #isSyncing = false;
  #isWiped = false;
  /** How far the feed is known to be applied. */
  #applied = 0;

  /** In place of the one that was open before. */
  async open({ name, durability = "strict", pageEvents = 1000, isOnline = true, via, ...given }: DeviceOptions): Promise<void> {
    await this.#store?.close();
    this.#via = via;
    this.#isOnline = isOnline;
    const sync = { ...given, fetch: this.#fetch };
    this.#store = await openStore({ name, durability, limits: { pageEvents }, sync });
    this.#applied = this.#store.status.cursor?.position ?? 0;
  }

  goOnline(): void {
    this.#isOnline = true;
  }

  wiped(): void {
    this.#isWiped = true;
  }

  /** Appends to all streams at once, and to each as fast as it answers, until `rest()`. Answers what became of it. */
  async write({ name, exact, any, seed, most = Number.POSITIVE_INFINITY }: Writing): Promise<Report[]> {
    const reports: Report[] = [];
    this.#isWriting = true;
    const writers = [...exact, ...any].map((streamId, i) =>
      this.#writeTo(streamId, {
        prefix: `${name}.${streamId}`,
        isExact: exact.includes(streamId),
        random: new Random(seed + i),
        most,
        reports,
      }),
    );
    this.#writing = Promise.all(writers);
    await this.#writing;
    return reports;
  }

  /** Resolves when nothing is being appended any more. */
  async rest(): Promise<void> {
    this.#isWriting = false;
    await this.#writing;
  }

  /** Answers "done", or the error's code. */
  async sync(): Promise<string> {
    try {
      await this.#opened().sync();
      return "done";
    } catch (error) {
      if (error instanceof HeadwaterError) return error.code;
      throw error;
    }
  }

  /** Again and again, however it ends. */
  async keepSyncing(): Promise<void> {
    this.#isSyncing = true;
    while (this.#isSyncing) {
      await this.sync();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  stopSyncing(): void {
    this.#isSyncing = false;
  }

  /** One commit of one event. */
  async append(streamId: string, commit: string, expectedVersion: number | "any"): Promise<void> {
    const data: Mark = { commit, n: 0, of: 1 };
    await this.#opened().appendToStream(streamId, [{ type: "Marked", data }], { expectedVersion });
  }

  /** Lets go of the history that the device follows, and keeps what only it has. */
  async reset(): Promise<void> {
    await this.#opened().reset();
  }

  /** How many confirmed events, pending and parked commits an export of it has. */
  async exported(): Promise<Record<"confirmed" | "pending" | "parked", number>> {
    const counts = { confirmed: 0, pending: 0, parked: 0 };
    for await (const { state } of this.#opened().export()) counts[state]++;
    return counts;
  }

  status(): Status {
    return this.#opened().status;
  }

  /** The app has taken note of what was lost. */
  async dismissLoss(): Promise<void> {
    await this.#opened().dismissLoss();
  }

  /** Puts all that is parked behind what the edge holds. Answers how many commits that were. */
  async rebaseAll(): Promise<number> {
    const conflicts = this.#opened().conflicts();
    for (const conflict of conflicts) await conflict.rebase();
    return conflicts.length;
  }

  async dump(streamIds: readonly string[]): Promise<Dump> {
    const store = this.#opened();
    const streams: Record<string, readonly StreamEvent[]> = {};
    for (const id of streamIds) streams[id] = await this.#eventsOf(id);
    const log: ConfirmedEvent[] = [];
    for await (const event of store.readAll()) log.push(event);
    const parked = store.conflicts().map(({ streamId, events }) => ({ streamId, events }));
    return { streams, log, parked, status: store.status, isWiped: this.#isWiped };
  }

  async #writeTo(streamId: string, writer: Writer): Promise<void> {
    let version = (await this.#eventsOf(streamId)).length;
    for (let commits = 0; this.#isWriting && commits < writer.most; ) {
      const asked: Promise<number>[] = [];
      // Some are asked for before the ones that they build on are recorded.
      for (let burst = writer.random.between(1, 4); burst > 0 && commits < writer.most; burst--) {
        const of = writer.random.between(1, 5);
        asked.push(this.#append(streamId, `${writer.prefix}.${commits++}`, of, version, writer));
        version += of;
      }
      version = (await Promise.all(asked)).at(-1) ?? version;
    }
  }

  /** Answers the version at which the stream is then. */
  async #append(streamId: string, commit: string, of: number, version: number, { isExact, random, reports }: Writer): Promise<number> {
    // Events that bring their own ids are looked for in their stream first.
    const bringsIds = random.between(1, 4) === 1;
    const events = Array.from({ length: of }, (_, n) => {
      const data: Mark = { commit, n, of };
      return { type: "Marked", data, ...(bringsIds ? { id: crypto.randomUUID() } : {}) };
    });
    const expectedVersion = isExact ? (version === 0 ? "no-stream" : version) : "any";
    try {
      const result = await this.#opened().appendToStream(streamId, events, { expectedVersion });
      report({ kind: "appended", streamId, commit, of, firstVersion: result.firstVersion }, reports);
      return result.version;
    } catch (error) {
      if (!(error instanceof VersionConflictError)) throw error;
      report({ kind: "refused", streamId, commit }, reports);
      return error.actualVersion;
    }
  }

  async #eventsOf(streamId: string): Promise<readonly StreamEvent[]> {
    try {
      return (await this.#opened().readStream(streamId)).events;
    } catch (error) {
      if (error instanceof StreamNotFoundError) return [];
      throw error;
    }
  }

  /** Who asks for what follows a position has applied everything up to it. */
  readonly #fetch: typeof fetch = async (input, init) => {
    if (!this.#isOnline) throw new TypeError("This device is offline.");
    const url = new URL(String(input));
    const position = Number(url.searchParams.get("after") ?? 0);
    if (position > this.#applied) {
      this.#applied = position;
      report({ kind: "applied", position });
    }
    return fetch(this.#via === undefined ? url : this.#via + url.pathname + url.search, init);
  };

  #opened(): Store {
    if (this.#store === undefined) throw new Error("no store is open");
    return this.#store;
  }
}

interface Writer {
  readonly prefix: string;
  readonly isExact: boolean;
  readonly random: Random;
  readonly most: number;
  readonly reports: Report[];
}

function report(told: Report, reports: Report[] = []): void {
  reports.push(told);
  window.report?.(JSON.stringify(told));
}

declare global {
  interface Window {
    device: Device;
    /** A test that wants to be told binds it. */
    report?: (text: string) => void;
  }
}

export const device = new Device();
window.device = device;

// Chromium says so to whoever opens a database next, and in no other way.
const open = IDBFactory.prototype.open;
IDBFactory.prototype.open = function (...asked) {
  const request = open.apply(this, asked);
  request.addEventListener("upgradeneeded", (event) => {
    if ("dataLoss" in event && event.dataLoss === "total") window.device.wiped();
  });
  return request;
};
