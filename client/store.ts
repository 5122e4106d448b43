/** The store that an app opens on a device. */
import { parseCommit } from "../shared/commit.ts";
import { InvalidRequestError, StoreClosedError, StreamNotFoundError } from "../shared/errors.ts";
import type { ConfirmedEvent, NewEvent } from "../shared/event.ts";
import { feedFilter } from "../shared/feed-filter.ts";
import { completeLimits, type Limits } from "../shared/limits.ts";
import { isOrdinal, type Version } from "../shared/order.ts";
import { parseStreamId, type StreamId } from "../shared/stream-id.ts";
import { Appender } from "./appender.ts";
import { type Conflict, readConflicts } from "./conflicts.ts";
import { Database, NEW_HISTORY } from "./database.ts";
import { pagesFrom, pendingCommits, type ReadTx, streamEvents, versionOf } from "./device-log.ts";
import { createEdgeCall } from "./edge-call.ts";
import type { AppendOptions, AppendResult, EventStore, ReadAllOptions, ReadStreamOptions, StreamSlice } from "./event-store.ts";
import { parseCount } from "./options.ts";
import { eventsOfPages } from "./segments.ts";
import { type Connection, Syncer } from "./syncer.ts";
import { takeOverDeviceHistory } from "./take-over.ts";

export interface SyncOptions {
  /** The store at the edge, e.g. `https://events.example.com/v1/permits`. */
  readonly url: string;
  /** Asked for before each request. Leave out where the edge asks for none. */
  readonly token?: () => string | Promise<string>;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
}

export interface StoreOptions {
  /** The IndexedDB database. */
  readonly name: string;
  /** Leave out for a store that lives on this device alone. */
  readonly sync?: SyncOptions;
  /**
   * How an append is written. `strict` (the default) has the operating system write it to the disk before the append
   * resolves; `relaxed` is faster, and a power cut may take the last moments with it.
   */
  readonly durability?: "strict" | "relaxed";
  readonly limits?: Partial<Limits>;
}

export interface Status {
  readonly connection: Connection;
  /** Commits that the edge has not confirmed yet. */
  readonly pending: number;
  /** Commits that the edge refused and that wait for the app. */
  readonly conflicts: number;
  /** How far the feed is applied; null before the first contact. */
  readonly cursor: { readonly log: string; readonly position: number } | null;
  /** The last position that the edge is known to have. */
  readonly head: number;
  /** Whether the browser has promised not to evict this site's data; null where it can't be asked. */
  readonly persisted: boolean | null;
}

/**
 * Opens the device's store, making it where there is none.
 *
 * @throws StorageFailedError where IndexedDB is missing or refuses to open
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  if (typeof options.name !== "string" || options.name === "") {
    throw new InvalidRequestError("A store needs the name of its database.", { field: "name" });
  }
  const store = new Store(options);
  try {
    await store.open();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

export class Store implements EventStore {
  readonly #database: Database;
  readonly #appender: Appender;
  readonly #syncer: Syncer | undefined;
  readonly #limits: Limits;
  #status: Status = { connection: "local", pending: 0, conflicts: 0, cursor: null, head: 0, persisted: null };
  #conflicts: readonly Conflict[] = [];
  /** Commits that this tab has added to the outbox. */
  #appended = 0;
  readonly #closing = new AbortController();

  /** @internal Use `openStore`. */
  constructor({ name, sync, durability = "strict", limits }: StoreOptions) {
    this.#limits = completeLimits(limits);
    this.#database = new Database(name, () => this.#update({ connection: "outdated" }));
    this.#appender = new Appender(this.#database, durability, (commits) => {
      this.#appended += commits;
      this.#update({ pending: this.#status.pending + commits });
    });
    if (sync === undefined) return;
    this.#update({ connection: "offline" });
    const { signal } = this.#closing;
    const listener = { connection: (connection: Connection) => this.#update({ connection }), changed: () => this.#refresh() };
    this.#syncer = new Syncer(this.#database, createEdgeCall({ ...sync, signal }), this.#limits, name, listener, signal);
  }

  /** @internal */
  async open(): Promise<void> {
    if (this.#syncer !== undefined) await this.#database.run(takeOverDeviceHistory);
    await this.#refresh();
    const persisted = (await globalThis.navigator?.storage?.persisted?.()) ?? null;
    this.#update({ persisted });
  }

  /** As it was when it was last read or written by this tab. A new object after each change. */
  get status(): Status {
    return this.#status;
  }

  async appendToStream(streamId: string, events: readonly NewEvent[], options: AppendOptions = {}): Promise<AppendResult> {
    this.#throwIfClosed();
    const { expectedVersion = "any" } = options;
    const defaults = { newId: () => crypto.randomUUID(), occurredAt: new Date().toISOString() };
    const commit = parseCommit({ streamId, expectedVersion, events }, defaults, this.#limits);
    return this.#appender.append({ commit, mayRepeat: events.some((event) => event.id !== undefined) });
  }

  async readStream(streamId: string, options: ReadStreamOptions = {}): Promise<StreamSlice> {
    this.#throwIfClosed();
    const id = parseStreamId(streamId);
    const { direction = "forwards" } = options;
    if (direction !== "forwards" && direction !== "backwards") {
      throw new InvalidRequestError('A direction is "forwards" or "backwards".', { field: "direction" });
    }
    const limit = parseCount(options.limit, "limit") ?? Number.POSITIVE_INFINITY;
    const from = parseCount(options.from, "from");
    return this.#database.run(async (db) => {
      const tx: ReadTx = db.transaction(["events"], "readonly");
      if (direction === "forwards") {
        const events = await streamEvents(tx, id, from ?? 1, (from ?? 1) + limit - 1);
        // Read to its end, a stream tells its version by its last event: two requests less.
        const last = limit === Number.POSITIVE_INFINITY ? events.at(-1)?.version : undefined;
        return { streamId: id, version: last ?? (await existingVersion(tx, id)), events };
      }
      const version = await existingVersion(tx, id);
      const upper = Math.min(from ?? version, version);
      const events = await streamEvents(tx, id, Math.max(1, upper - limit + 1), upper);
      return { streamId: id, version, events: events.reverse() };
    });
  }

  async *readAll(options: ReadAllOptions = {}): AsyncGenerator<ConfirmedEvent, void, undefined> {
    const filter = feedFilter(options);
    let left = parseCount(options.limit, "limit") ?? Number.POSITIVE_INFINITY;
    let after = options.after ?? 0;
    if (!isOrdinal(after)) throw new InvalidRequestError("A position is a whole number from 0.", { field: "after" });
    this.#throwIfClosed();
    const { position: end } = (await this.#database.run((db) => db.get("meta", "history"))) ?? NEW_HISTORY;
    while (after < end) {
      this.#throwIfClosed();
      const from = after;
      const segments = await this.#database.run((db) => pagesFrom(db, from));
      const last = segments.at(-1);
      if (last === undefined) return;
      for (const event of eventsOfPages(segments, filter.stream)) {
        if (event.position <= after || event.position > end || !(filter.content?.(event) ?? true)) continue;
        if (left-- <= 0) return;
        yield event;
      }
      after = last.key[0];
    }
  }

  /**
   * Brings the device and the edge together: resolves when the outbox is empty and the feed is applied up to the head
   * seen. Refused commits don't reject it: they are in `conflicts()`.
   *
   * @throws UnavailableError when the edge can't be reached, or its log lags
   * @throws UnauthenticatedError, ForbiddenError when the edge refuses the token
   * @throws LogMismatchError, PositionAheadError when the edge holds another history; nothing is merged
   * @throws InvalidRequestError on a store that was opened without `sync`
   */
  async sync(): Promise<void> {
    this.#throwIfClosed();
    if (this.#syncer === undefined) throw new InvalidRequestError("This store was opened without `sync`.", { field: "sync" });
    await this.#syncer.sync();
  }

  /** The commits that the edge refused, oldest first. A new array after each change. */
  conflicts(): readonly Conflict[] {
    return this.#conflicts;
  }

  /** Waits for appends under way, ends a sync under way, and lets go of the database. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.#syncer?.idle();
    await this.#appender.idle();
    await this.#database.close();
  }

  async #refresh(tries = 5): Promise<void> {
    const before = this.#appended;
    const [history, pending, conflicts] = await Promise.all([
      this.#database.run((db) => db.get("meta", "history")),
      this.#database.run(pendingCommits),
      readConflicts(this.#database, () => this.#refresh()),
    ]);
    // What was appended while it was counted may be counted or not; who appends without a pause is counted next time.
    if (this.#appended !== before && tries > 0) return this.#refresh(tries - 1);
    const { log, position, head } = history ?? NEW_HISTORY;
    this.#conflicts = conflicts;
    this.#update({ pending, conflicts: conflicts.length, cursor: log === null ? null : { log, position }, head });
  }

  #update(change: Partial<Status>): void {
    this.#status = { ...this.#status, ...change };
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new StoreClosedError();
  }
}

async function existingVersion(tx: ReadTx, streamId: StreamId): Promise<Version> {
  const version = await versionOf(tx, streamId);
  if (version === 0) throw new StreamNotFoundError(`The stream ${streamId} does not exist on this device.`);
  return version;
}
