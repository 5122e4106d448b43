/** The store that an app opens on a device. */
import { type Commit, parseCommit } from "../shared/commit.ts";
import { HeadwaterError, InvalidRequestError, StoreClosedError, StreamNotFoundError, UnavailableError } from "../shared/errors.ts";
import type { ConfirmedEvent, NewEvent } from "../shared/event.ts";
import { exactVersion } from "../shared/expected-version.ts";
import { readerFilter } from "../shared/feed-filter.ts";
import { type History, isWithin, type Scope } from "../shared/history.ts";
import { completeLimits, type Limits, parseCount } from "../shared/limits.ts";
import { isOrdinal, type Version } from "../shared/order.ts";
import { parseStreamId, type StreamId } from "../shared/stream-id.ts";
import { Appender } from "./appender.ts";
import { type Conflict, readConflicts } from "./conflicts.ts";
import { Database, OUTDATED, unlessStorage } from "./database.ts";
import { pagesFrom, pendingCommits, type ReadTx, readHistory, streamEvents, versionOf } from "./device-log.ts";
import type { AppendOptions, AppendResult, EventStore, ReadAllOptions, ReadStreamOptions, StreamSlice } from "./event-store.ts";
import { type Exported, exportOutbox } from "./export.ts";
import { follow, resetHistory, setScope } from "./history.ts";
import type { Platform } from "./idb.ts";
import { newEvents } from "./options.ts";
import type { OutboxChange } from "./page.ts";
import { type ConflictRules, createResolver } from "./resolver.ts";
import { eventsOfPages } from "./segments.ts";
import { type Status, StatusBoard } from "./status.ts";
import { Syncer } from "./syncer.ts";
import { takeOverDeviceHistory } from "./take-over.ts";

export interface SyncOptions {
  /** The store at the edge, e.g. `https://events.example.com/v1/permits`. */
  readonly url: string;
  /** Asked for before each request, and once more where the edge refuses it. Leave out where the edge asks for none. */
  readonly token?: () => string | Promise<string>;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Milliseconds until a request without an answer counts as failed. Default: 30,000. */
  readonly timeout?: number;
  /**
   * `true` (the default): what is appended is pushed at once, the feed is followed, and what fails is tried again, by one
   * tab of the device. `false`: all that happens when `sync()` is called, and only then.
   */
  readonly automatic?: boolean;
  /**
   * Milliseconds after which the feed is asked for news. Default: 5,000; a page that nobody looks at, and one that the edge tells of
   * news, wait longer.
   */
  readonly pollEvery?: number;
  /**
   * Whether the edge may tell of news, on a WebSocket. Default: yes, unless there is a `fetch` of the app's own; never for a store
   * that is not automatic.
   */
  readonly live?: boolean;
  /** How that is opened. Default: the global WebSocket. */
  readonly webSocket?: (url: string, protocols: string[]) => WebSocket;
  /** The part of the store that this device follows: streams of these categories, and these streams. Default: all of it. */
  readonly filter?: { readonly categories?: readonly string[]; readonly streams?: readonly string[] };
}

export interface StoreOptions extends ConflictRules {
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
  /** The IndexedDB that holds the database. Default: the browser's. For tests there is `openMemoryStore` of `headwater/testing`. */
  readonly platform?: Platform;
}

/**
 * Opens the device's store, making it where there is none.
 *
 * @throws StorageFailedError where IndexedDB is missing or refuses to open
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  if (typeof options.name !== "string" || options.name === "") {
    throw new InvalidRequestError("Name the store.", { field: "name" });
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
  readonly #filter: Scope;
  readonly #board: StatusBoard;
  /** What the device follows, as this tab knows it; undefined where it follows nothing. */
  #scope: Scope | undefined;
  #conflicts: readonly Conflict[] = [];
  /** Changes of the outbox that this tab has counted. */
  #counted = 0;
  #isClosed = false;
  /** Everything in the background ends: the store is closed, or a newer version has taken the database over. */
  readonly #ending = new AbortController();
  readonly #refresh = coalesced(() => this.#read());

  /** @internal Use `openStore`. */
  constructor({ name, platform = globalThis, sync, durability = "strict", limits, ...rules }: StoreOptions) {
    this.#limits = completeLimits(limits);
    this.#filter = scopeOf(sync?.filter);
    this.#board = new StatusBoard(sync === undefined ? "local" : "offline");
    this.#database = new Database(name, platform, () => this.#onOutdated());
    this.#appender = new Appender(this.#database, durability, (commits, isParkedChanged) => {
      this.#count(commits);
      if (commits > 0) this.#syncer?.appended();
      if (isParkedChanged) void this.#refreshQuietly();
    });
    if (sync === undefined) return;
    const { automatic = true, pollEvery = 5_000, live = sync.fetch === undefined, ...edge } = sync;
    const { pageEvents, pushCommits, pushStreams, bodyBytes } = this.#limits;
    this.#syncer = new Syncer({
      name,
      database: this.#database,
      edge,
      settings: {
        automatic,
        pageEvents,
        push: { commits: pushCommits, streams: pushStreams, size: bodyBytes / 4 },
        pollEvery: parseCount(pollEvery, "sync.pollEvery") ?? pollEvery,
        live: automatic && live,
      },
      resolve: createResolver(rules, this.#limits),
      // Events that a rule puts in a commit's place exist here alone.
      pageDurability: rules.onConflict === undefined ? "relaxed" : "strict",
      board: this.#board,
      ending: this.#ending.signal,
      refresh: () => this.#refreshQuietly(),
      onWritten: (change, history) => this.#onWritten(change, history),
    });
  }

  /** @internal */
  async open(): Promise<void> {
    if (this.#syncer !== undefined) {
      await this.#database.run(takeOverDeviceHistory);
      this.#scope = (await this.#database.run((db) => setScope(db, this.#filter))).scope;
    }
    await this.#refresh();
    this.#syncer?.start();
    void this.#askToPersist();
  }

  /** As this tab knows it. A new object after each change. */
  get status(): Status {
    return this.#board.current;
  }

  /**
   * Calls `listener` with the status after each change.
   *
   * @returns ends it
   */
  watch(listener: (status: Status) => void): () => void {
    return this.#board.watch(listener);
  }

  async appendToStream(streamId: string, events: readonly NewEvent[], options: AppendOptions = {}): Promise<AppendResult> {
    this.#throwIfClosed();
    const { expectedVersion = "any" } = options;
    const commit = parseCommit({ streamId, expectedVersion, events }, newEvents(), this.#limits);
    if (this.#scope !== undefined && !isWithin(this.#scope, streamId)) await this.#follow(commit);
    return this.#appender.append({ commit, mayRepeat: events.some((event) => event.id !== undefined) });
  }

  /**
   * A stream that the device did not follow is followed from its first append on. What the commit believes of it can be
   * judged only when it is here; one that believes nothing, or that there is nothing, goes ahead without.
   */
  async #follow({ streamId, expectedVersion }: Commit): Promise<void> {
    this.#scope = (await this.#database.run((db) => follow(db, [streamId]))).scope;
    await this.#syncer?.redirected(false);
    if (expectedVersion === "any") return;
    try {
      await this.sync();
    } catch (error) {
      if (!(error instanceof HeadwaterError) || (error.code === "store-closed" && this.#isClosed)) throw error;
      if (exactVersion(expectedVersion) === 0) return;
      const message = `${streamId} is not on this device and can't be fetched: ${error.message}`;
      throw new UnavailableError(message, {}, { cause: error });
    }
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
    const filter = readerFilter(options);
    let left = parseCount(options.limit, "limit") ?? Number.POSITIVE_INFINITY;
    let after = options.after ?? 0;
    if (!isOrdinal(after)) throw new InvalidRequestError("A position is a whole number from 0.", { field: "after" });
    this.#throwIfClosed();
    const { position: end } = await this.#database.run(readHistory);
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
   * seen. Refused commits don't reject it: they are in `conflicts()`. Where it rejects, a store that syncs by itself goes
   * on trying.
   *
   * @throws UnavailableError when the edge can't be reached, or its log lags
   * @throws UnauthenticatedError, ForbiddenError when the edge refuses the token
   * @throws LogMismatchError, PositionAheadError when the edge holds another history; nothing is merged
   * @throws StoreFullError, StorageFailedError when this device can't write what came
   * @throws InvalidRequestError on a store that was opened without `sync`
   */
  async sync(): Promise<void> {
    await this.#synced().sync();
  }

  /** The commits that the edge refused, oldest first. A new array after each change. */
  conflicts(): readonly Conflict[] {
    return this.#conflicts;
  }

  /** All that the device holds: confirmed events in position order, then pending commits, then parked ones. */
  async *export(): AsyncGenerator<Exported, void, undefined> {
    for await (const event of this.readAll()) yield { state: "confirmed", ...event };
    yield* exportOutbox(this.#database);
  }

  /**
   * Lets go of the confirmed events that the device holds, and of the history that it follows: the way on where the edge
   * holds another one (`diverged`). The next sync fetches what the edge holds now.
   *
   * @param keepPending whether pending commits and conflicts stay (the default). Those that were decided on what the device
   *   lets go of become conflicts. `false` discards all of them, for good: see `export()`
   */
  async reset({ keepPending = true }: { readonly keepPending?: boolean } = {}): Promise<void> {
    const syncer = this.#synced();
    await this.#appender.idle();
    await this.#database.run((db) => resetHistory(db, keepPending));
    await syncer.redirected(true);
  }

  /** Waits for appends under way, ends a sync under way, and lets go of the database. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ending.abort();
    await this.#syncer?.idle();
    await this.#appender.idle();
    await this.#database.close();
  }

  #synced(): Syncer {
    this.#throwIfClosed();
    if (this.#syncer === undefined) throw new InvalidRequestError("The store was opened without `sync`.", { field: "sync" });
    return this.#syncer;
  }

  async #read(tries = 5): Promise<void> {
    const before = this.#counted;
    const [history, pending, conflicts] = await Promise.all([
      this.#database.run(readHistory),
      this.#database.run(pendingCommits),
      readConflicts(this.#database, () => this.#onResolved()),
    ]);
    // What changed while it was counted may be counted or not; who changes it without a pause is counted next time.
    if (this.#counted !== before && tries > 0) return this.#read(tries - 1);
    this.#conflicts = conflicts;
    this.#board.update({ pending, conflicts: conflicts.length, ...progressOf(history) });
    if (this.#scope !== undefined) this.#scope = history.scope;
  }

  /** In the background nobody waits for it: storage that fails is told to whoever uses it next. */
  async #refreshQuietly(): Promise<void> {
    if (!this.#ending.signal.aborted) await this.#refresh().catch(unlessStorage);
  }

  async #onResolved(): Promise<void> {
    await this.#refresh();
    this.#syncer?.appended();
  }

  #onWritten({ left, isParkedChanged }: OutboxChange, history: History | undefined): void {
    this.#count(-left.length);
    if (history !== undefined) this.#board.update(progressOf(history));
    if (isParkedChanged) void this.#refreshQuietly();
  }

  #count(commits: number): void {
    if (commits === 0) return;
    this.#counted++;
    this.#board.update({ pending: Math.max(0, this.#board.current.pending + commits) });
  }

  #onOutdated(): void {
    this.#ending.abort();
    this.#board.update({ connection: "outdated" });
  }

  async #askToPersist(): Promise<void> {
    const storage = globalThis.navigator?.storage;
    // A browser may ask the person, who may take their time.
    const persisted = (await storage?.persisted?.()) || (await storage?.persist?.());
    this.#board.update({ persisted: persisted ?? null });
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new StoreClosedError();
    if (this.#ending.signal.aborted) throw new StoreClosedError(OUTDATED);
  }
}

function progressOf({ log, position, head }: History): Pick<Status, "cursor" | "head"> {
  return { cursor: log === null ? null : { log, position }, head };
}

/** @throws InvalidRequestError for what is neither a category nor a stream id, and for nothing at all */
function scopeOf(filter: SyncOptions["filter"]): Scope {
  if (filter === undefined) return null;
  const { categories = [], streams = [] } = filter;
  if (categories.length + streams.length === 0) {
    throw new InvalidRequestError("A filter names a category or a stream.", { field: "sync.filter" });
  }
  const parts = [...new Set([...categories, ...streams])];
  for (const part of parts) parseStreamId(part, "sync.filter");
  return parts;
}

/** Runs of `work` one after the other; whoever calls during one shares the next. */
function coalesced(work: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = () => {
    next = undefined;
    last = work();
    return last;
  };
  return () => {
    // How the one before ended, its own callers are told.
    next ??= Promise.allSettled([last]).then(start);
    return next;
  };
}

async function existingVersion(tx: ReadTx, streamId: StreamId): Promise<Version> {
  const version = await versionOf(tx, streamId);
  if (version === 0) throw new StreamNotFoundError(`${streamId} is not on this device.`);
  return version;
}
