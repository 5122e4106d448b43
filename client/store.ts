import type { AnyDecider, DecidedEvent, Decider, Folding, PendingCommand } from "../shared/device/decider.ts";
import type { IndexField, Projection } from "../shared/device/projection.ts";
import { isWithin, type Replica, type Scope } from "../shared/device/replica.ts";
import { parkUndecided } from "../shared/device/resolution.ts";
import { HeadwaterError, InvalidRequestError, StoreClosedError, StreamNotFoundError, UnavailableError } from "../shared/errors.ts";
import { withCause } from "../shared/event/causation.ts";
import { type Commit, parseCommit } from "../shared/event/commit.ts";
import type { ConfirmedEvent, NewEvent } from "../shared/event/event.ts";
import { exactVersion } from "../shared/expected-version.ts";
import { readerFilter } from "../shared/feed-filter.ts";
import { completeLimits, type Limits, parseCount } from "../shared/limits.ts";
import { isOrdinal, type Version } from "../shared/order.ts";
import { parseStreamId, type StreamId } from "../shared/stream-id.ts";
import type { Conflict } from "./conflicts/conflicts.ts";
import type { ConflictRules, Deciders } from "./conflicts/rules.ts";
import type { AppendOptions, AppendResult, EventStore, ReadAllOptions, ReadStreamOptions, StreamSlice } from "./event-store.ts";
import type { StoreCore, StoreInternals } from "./internals.ts";
import type { LaterParts } from "./later.ts";
import type { Table } from "./rows/table.ts";
import { Appender } from "./storage/appender.ts";
import { Database, OUTDATED, unlessStorage } from "./storage/database.ts";
import { pagesFrom, pendingCommits, type ReadTx, readReplica, replicaOf, streamEvents, versionOf } from "./storage/device-log.ts";
import type { ExportedCommit } from "./storage/export.ts";
import type { Platform } from "./storage/idb.ts";
import type { OutboxChange } from "./storage/page.ts";
import { isFollowing } from "./storage/replica.ts";
import { eventsOfPages } from "./storage/segments.ts";
import type { Aggregate, FoldOptions } from "./streams/aggregates.ts";
import type { EventTypeOptions } from "./streams/event-checks.ts";
import type { HandleOptions, HandleResult } from "./streams/handle.ts";
import type { LiveState } from "./streams/live-state.ts";
import type { SubscriptionControl } from "./subscription/control.ts";
import type { Handler, SubscribeOptions } from "./subscription/subscriber.ts";
import { type Status, StatusBoard } from "./sync/status.ts";
import { Syncer } from "./sync/syncer.ts";
import { Tabs } from "./sync/tabs.ts";
import { LiveValue } from "./tools/live-value.ts";
import { newEvents } from "./tools/options.ts";

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
  readonly webSocket?: boolean | ((url: string, protocols: string[]) => WebSocket);
  /** The part of the store that this device follows: streams of these categories, and these streams. Default: all of it. */
  readonly filter?: { readonly categories?: readonly string[]; readonly streams?: readonly string[] };
}

export interface StoreOptions extends ConflictRules, EventTypeOptions {
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
  /** The deciders whose commands are decided again where others' events came first: functions can't be stored, so each tab names them. */
  readonly deciders?: readonly AnyDecider[];
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
  readonly #deciders: Deciders;
  readonly #board: StatusBoard;
  /** What the device follows, as this tab knows it; undefined where it follows nothing. */
  #followed: Pick<Replica, "scope" | "backfills"> | undefined;
  #conflicts: readonly Conflict[] = [];
  /** Changes of the outbox that this tab has counted. */
  #counted = 0;
  #isClosed = false;
  /** Everything in the background ends: the store is closed, or a newer version has taken the database over. */
  readonly #ending = new AbortController();
  readonly #refresh = coalesced(() => this.#look());
  /** Of a store that nobody syncs: a syncer has its own. */
  readonly #tabs: Tabs | undefined;
  /** Whoever looks again when the device may hold something else. */
  readonly #changes = new Set<() => void>();
  readonly #internals: StoreCore;
  #model: Promise<LaterParts> | undefined;
  /** An event as the app reads it. */
  #read: StoreInternals["read"] = (event) => event;

  /** @internal Use `openStore`. */
  constructor({
    name,
    platform = globalThis,
    sync,
    durability = "strict",
    limits,
    deciders = [],
    eventTypes,
    onUnknownEvent,
    ...rules
  }: StoreOptions) {
    this.#limits = completeLimits(limits);
    this.#deciders = new Map(deciders.map((decider) => [decider.name, decider]));
    this.#filter = scopeOf(sync?.filter);
    this.#board = new StatusBoard(sync === undefined ? "local" : "offline");
    const begin = sync === undefined ? {} : ({ authority: "edge", scope: this.#filter } as const);
    this.#database = new Database(name, platform, begin, () => this.#onOutdated());
    this.#appender = new Appender(this.#database, durability, (commits, isParkedChanged, replica) => {
      this.#count(commits);
      if (replica !== undefined) {
        this.#board.update(progressOf(replica));
        this.#tabs?.tell({ kind: "changed" });
      }
      if (commits > 0) this.#syncer?.appended();
      if (isParkedChanged) void this.#refreshQuietly();
    });
    this.#internals = {
      name,
      platform,
      database: this.#database,
      limits: this.#limits,
      deciders: this.#deciders,
      rules,
      ending: this.#ending.signal,
      append: (streamId, events, given, command) => this.#append(streamId, events, given, command),
      fetched: (streamId) => this.#follow({ streamId: parseStreamId(streamId), expectedVersion: "stream-exists" }),
      eventTypes,
      onUnknownEvent,
      changes: this.#changes,
    };
    if (sync === undefined) {
      this.#tabs = new Tabs(name, () => void this.#refreshQuietly());
      return;
    }
    const { automatic = true, pollEvery = 5_000, webSocket = sync.fetch === undefined, ...edge } = sync;
    const { pageEvents, pushCommits, pushStreams, bodyBytes } = this.#limits;
    this.#syncer = new Syncer({
      name,
      database: this.#database,
      edge: typeof webSocket === "function" ? { ...edge, webSocket } : edge,
      settings: {
        automatic,
        pageEvents,
        push: { commits: pushCommits, streams: pushStreams, size: bodyBytes / 4 },
        pollEvery: parseCount(pollEvery, "sync.pollEvery") ?? pollEvery,
        feedSocket: automatic && webSocket !== false,
      },
      // Events that a rule puts in a commit's place exist here alone.
      rules: async () =>
        this.#deciders.size > 0 || Object.keys(rules).length > 0
          ? { resolve: (await this.#load()).resolve, durability: "strict" }
          : { resolve: parkUndecided, durability: "relaxed" },
      board: this.#board,
      ending: this.#ending.signal,
      refresh: () => this.#refreshQuietly(),
      follow: (streamIds) => this.#followStreams(streamIds),
      onWritten: (change, replica) => this.#onWritten(change, replica),
    });
  }

  /** @internal */
  async open(): Promise<void> {
    if (this.#syncer !== undefined) {
      const replica = await this.#database.run(readReplica);
      this.#followed = isFollowing(replica, this.#filter) ? replica : await (await this.#load()).followFilter(this.#filter);
    }
    // Each tab loads it with its start, as it loads the app.
    if (this.#internals.eventTypes !== undefined) this.#read = (await this.#load()).read;
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
    return this.#append(streamId, events, options);
  }

  async #append(
    streamId: string,
    events: readonly NewEvent[],
    { expectedVersion = "any", causedBy }: AppendOptions,
    command?: PendingCommand,
  ): Promise<AppendResult> {
    this.#throwIfClosed();
    const caused = withCause(events, causedBy);
    const checked = this.#internals.eventTypes === undefined ? caused : await (await this.#load()).checkEvents(caused);
    const commit = parseCommit({ streamId, expectedVersion, events: checked }, newEvents(), this.#limits);
    await this.#follow(commit);
    return this.#appender.append({ commit, mayRepeat: events.some((event) => event.id !== undefined), command });
  }

  /**
   * A stream that the device did not follow is followed from its first append on. What the commit believes of it can be
   * judged only when it is here; one that believes nothing, or that there is nothing, goes ahead without.
   */
  async #follow({ streamId, expectedVersion }: Omit<Commit, "events">): Promise<void> {
    if (this.#followed === undefined) return;
    if (!isWithin(this.#followed.scope, streamId)) {
      this.#followed = await this.#followStreams([streamId]);
      await this.#syncer?.redirected(false);
    }
    const isMissing = this.#followed.backfills.some(({ within }) => within?.includes(streamId));
    if (expectedVersion === "any" || !isMissing) return;
    try {
      await this.sync();
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code === "store-closed") throw error;
      if (exactVersion(expectedVersion) === 0) return;
      const message = `${streamId} is not on this device and can't be fetched: ${error.message}`;
      throw new UnavailableError(message, {}, { cause: error });
    }
  }

  async #followStreams(streamIds: readonly string[]): Promise<Replica> {
    return (await this.#load()).followStreams(streamIds);
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
        return { streamId: id, version: last ?? (await existingVersion(tx, id)), events: events.map(this.#read) };
      }
      const version = await existingVersion(tx, id);
      const upper = Math.min(from ?? version, version);
      const events = await streamEvents(tx, id, Math.max(1, upper - limit + 1), upper);
      return { streamId: id, version, events: events.reverse().map(this.#read) };
    });
  }

  async *readAll(options: ReadAllOptions = {}): AsyncGenerator<ConfirmedEvent, void, undefined> {
    const filter = readerFilter(options);
    let left = parseCount(options.limit, "limit") ?? Number.POSITIVE_INFINITY;
    let after = options.after ?? 0;
    if (!isOrdinal(after)) throw new InvalidRequestError("A position is a whole number from 0.", { field: "after" });
    this.#throwIfClosed();
    const { position: end, resets } = await this.#database.run(readReplica);
    while (after < end) {
      this.#throwIfClosed();
      const [segments, replica] = await this.#database.run(async (db) => {
        const tx: ReadTx = db.transaction(["events", "meta"], "readonly");
        return Promise.all([pagesFrom(tx, after), replicaOf(tx)]);
      });
      if (replica.resets !== resets) throw new UnavailableError("The store was reset; ask again.");
      const last = segments.at(-1);
      if (last === undefined) return;
      for (const event of eventsOfPages(segments, filter.stream)) {
        if (event.position <= after || event.position > end || !(filter.content?.(event) ?? true)) continue;
        if (left-- <= 0) return;
        yield this.#read(event);
      }
      after = last.key[0];
    }
  }

  /** The stream's state as the decider folds it; its initial state where there is no such stream. */
  async aggregateStream<State>(streamId: string, decider: Folding<State>, options?: FoldOptions): Promise<Aggregate<State>> {
    return (await this.#load()).aggregateStream(streamId, decider, options);
  }

  /**
   * Has the decider decide a command on the stream's state, and appends what it decided. Where another tab was faster it is decided anew.
   * The command is kept with the pending commit: where the edge holds others' events first, it is decided again on those.
   *
   * @throws what `decide` throws: the command is refused, and nothing is appended
   */
  async handle<State, Command, Event extends DecidedEvent>(
    streamId: string,
    decider: Decider<State, Command, Event, never>,
    command: NoInfer<Command>,
    options: HandleOptions = {},
  ): Promise<HandleResult<State, Event>> {
    return (await this.#load()).handle(streamId, decider, command, options);
  }

  /** The stream's state as it changes, for user interfaces. */
  live<State>(streamId: string, decider: Folding<State>): LiveValue<LiveState<State>> {
    const initial: LiveState<State> = { streamId, state: decider.initialState, version: 0, pending: 0, status: "loading" };
    return new LiveValue(initial, (set) =>
      later(
        this.#load(),
        (model) => model.watchStream(initial, decider, set),
        (error) => set({ ...initial, status: "failed", error }),
      ),
    );
  }

  /**
   * Hands confirmed events to `handler`, in position order, at least once each, the next when it has handled the one before. With a name its
   * checkpoint is durable, and one tab of the device at a time handles.
   *
   * @param options where they are wrong, or a part of the app is missing, `onError` is told; without it the error is nobody's: unhandled
   * @returns ends it
   */
  subscribe(handler: Handler, options: SubscribeOptions = {}): () => void {
    const now = this.status.cursor?.position ?? 0;
    return later(this.#load(), (model) => model.subscribe(handler, options, now), options.onError);
  }

  /** A named subscription of this device: how it stands, and what can be asked of it. */
  async subscription(name: string): Promise<SubscriptionControl> {
    return (await this.#load()).subscription(name);
  }

  /** Rows folded from the feed, kept in step in the background. The same table for the same projection. */
  async project<Row, Event, Index extends IndexField<Row> = never>(projection: Projection<Row, Event, Index>): Promise<Table<Row, Index>> {
    return (await this.#load()).project(projection);
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
  async *export(): AsyncGenerator<ExportedCommit, void, undefined> {
    yield* (await this.#load()).exportAll();
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
    await (await this.#load()).resetReplica(keepPending);
    await syncer.redirected(true);
  }

  /** Waits for appends under way, ends a sync under way, and lets go of the database. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ending.abort();
    await this.#syncer?.idle();
    await this.#appender.idle();
    this.#tabs?.close();
    await this.#database.close();
  }

  /** What modelling needs is loaded when it is needed. */
  async #load(): Promise<LaterParts> {
    this.#throwIfClosed();
    this.#model ??= import("./later.ts").then(
      ({ LaterParts }) => new LaterParts(this.#internals),
      (cause) => {
        this.#model = undefined;
        throw new UnavailableError("A part of the app is missing; reload the page.", {}, { cause });
      },
    );
    return this.#model;
  }

  #synced(): Syncer {
    this.#throwIfClosed();
    if (this.#syncer === undefined) throw new InvalidRequestError("The store was opened without `sync`.", { field: "sync" });
    return this.#syncer;
  }

  async #look(tries = 5): Promise<void> {
    const before = this.#counted;
    const [replica, pending, parked] = await Promise.all([
      this.#database.run(readReplica),
      this.#database.run(pendingCommits),
      this.#database.run((db) => db.transaction(["parked"], "readonly").objectStore("parked").count()),
    ]);
    const conflicts = parked === 0 ? [] : await this.#readConflicts();
    // What changed while it was counted may be counted or not; who changes it without a pause is counted next time.
    if (this.#counted !== before && tries > 0) return this.#look(tries - 1);
    this.#conflicts = conflicts;
    this.#board.update({ pending, conflicts: parked, ...progressOf(replica) });
    if (this.#followed !== undefined) this.#followed = replica;
    for (const listener of this.#changes) listener();
  }

  /** What can't be loaded now is told of as soon as it can; that there are some the status says. */
  async #readConflicts(): Promise<readonly Conflict[]> {
    const model = await this.#load().catch(() => undefined);
    return model?.readConflicts((seq, isRebase) => this.#resolveParked(seq, isRebase)) ?? this.#conflicts;
  }

  /** In the background nobody waits for it: storage that fails is told to whoever uses it next. */
  async #refreshQuietly(): Promise<void> {
    if (!this.#ending.signal.aborted) await this.#refresh().catch(unlessStorage);
  }

  async #resolveParked(seq: number, isRebase: boolean): Promise<void> {
    await (await this.#load()).resolveParked(seq, isRebase);
    await this.#refresh();
    this.#syncer?.appended();
  }

  #onWritten({ left, isParkedChanged }: OutboxChange, replica: Replica | undefined): void {
    this.#count(-left.length);
    if (replica !== undefined) {
      this.#followed = replica;
      this.#board.update(progressOf(replica));
    }
    if (isParkedChanged) void this.#refreshQuietly();
  }

  /** Something was written; so many commits more are pending. */
  #count(commits: number): void {
    for (const listener of this.#changes) listener();
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
    if (this.#ending.signal.aborted) throw new StoreClosedError(this.#isClosed ? undefined : OUTDATED);
  }
}

/** Starts something when what it needs is there. @returns ends it, also before */
function later<T>(needed: Promise<T>, start: (needed: T) => () => void, failed?: (error: unknown) => void): () => void {
  let isOver = false;
  const started = needed.then((given) => (isOver ? undefined : start(given)));
  // Without anybody to tell it stays an unhandled rejection, which the page's own handlers hear of.
  void started.catch(failed);
  return () => {
    isOver = true;
    void started.then(
      (stop) => stop?.(),
      () => undefined,
    );
  };
}

function progressOf({ log, position, head }: Replica): Pick<Status, "cursor" | "head"> {
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
