/**
 * What a store is made of, and how the parts are connected. `store.ts` is the door in front of it.
 *
 *     append ──► Follower (is the stream here?) ──► Appender ──► Overview (counts, status) ──► Syncer (push)
 *     read   ──► Reader
 *     Syncer ──► pages, rules ──► Overview
 *
 * `later.ts` and `sync/session.ts` are the border of the first chunk: what is behind them is loaded when it is first needed.
 */

import type { DecidedEvent } from "../shared/decider/decider.ts";
import { decidersByName } from "../shared/decider/deciders.ts";
import { type Claim, databaseName } from "../shared/device/owner.ts";
import { NEW_REPLICA, type Scope } from "../shared/device/replica.ts";
import { parkUndecided } from "../shared/device/resolution.ts";
import {
  aboutStream,
  CommitsLostError,
  HeadwaterError,
  InvalidRequestError,
  StoreClosedError,
  UnavailableError,
} from "../shared/errors.ts";
import { withCause } from "../shared/event/causation.ts";
import { assertNewEvents, parseCommit } from "../shared/event/commit.ts";
import type { EventBody, NewEvent } from "../shared/event/event.ts";
import type { EventTypes } from "../shared/event/event-types.ts";
import { completeLimits, type Limits } from "../shared/limits.ts";
import { type Complete, completeOptions } from "../shared/options.ts";
import { parseStreamId } from "../shared/stream-id.ts";
import type { Deciders } from "./conflicts/rules.ts";
import { APPEND_OPTIONS, type AppendOptions, type AppendResult } from "./event-store.ts";
import type { StoreInternals } from "./internals.ts";
import type { LaterParts } from "./later.ts";
import { Appender, type AppendRequest } from "./storage/appender.ts";
import { Database, unlessStorage } from "./storage/database.ts";
import { readReplica } from "./storage/device-log.ts";
import { platformNow } from "./storage/idb.ts";
import { Reader } from "./storage/reader.ts";
import { isFollowing } from "./storage/scope.ts";
import { planSync, STORE_OPTIONS, type StoreOptions } from "./store-options.ts";
import { type EventCodec, type EventTypeOptions, PLAIN_EVENTS } from "./streams/event-codec.ts";
import { announceFilter } from "./sync/filters.ts";
import { Follower } from "./sync/follower.ts";
import { claimOf, Identity } from "./sync/identity.ts";
import { Overview } from "./sync/overview.ts";
import { StatusBoard } from "./sync/status.ts";
import { Syncer } from "./sync/syncer.ts";
import { Tabs } from "./sync/tabs.ts";
import { loadPart } from "./tools/load-part.ts";
import { newEvents } from "./tools/options.ts";

/** @throws what `openStore` throws */
export async function openParts(given: StoreOptions): Promise<StoreParts> {
  const options = completeOptions(given, STORE_OPTIONS);
  const limits = completeLimits(options.limits);
  const parts = new StoreParts(options, limits, await codecOf(options, limits));
  try {
    await parts.open();
    return parts;
  } catch (error) {
    await parts.close();
    if (await isDeletionFinished(error, options)) return openParts(options);
    throw error;
  }
}

/** Finishes a deletion of the store that was cut off. @param error with which it could not be opened */
async function isDeletionFinished(error: unknown, { name, person, platform = globalThis }: StoreOptions): Promise<boolean> {
  const { code, cause } = error instanceof HeadwaterError ? error : {};
  if (code !== "store-closed" && !(cause instanceof Object && "name" in cause && cause.name === "VersionError")) return false;
  // If a newer version of the app has replaced that part, the error says what to do.
  const later = await importLater().catch(() => undefined);
  return (await later?.finishDeletion(platform, databaseName(name, person))) === true;
}

/** With event types, each tab loads what checks and reads them when it opens the store, as it loads the app. */
async function codecOf(options: EventTypeOptions, limits: Limits): Promise<EventCodec> {
  return options.eventTypes === undefined ? PLAIN_EVENTS : (await importLater()).createEventCodec(options.eventTypes, options, limits);
}

export class StoreParts {
  readonly board: StatusBoard;
  readonly overview: Overview;
  readonly appender: Appender;
  readonly reader: Reader;
  readonly #database: Database;
  readonly #limits: Limits;
  readonly #codec: EventCodec;
  readonly #scope: Scope;
  readonly #identity: Identity;
  readonly #claim: Claim;
  readonly #isToPersist: boolean;
  /** The name of the database without a person, which may be handed over to this store's. */
  readonly #nobodys: string | undefined;
  readonly #internals: StoreInternals;
  readonly #syncer: Syncer | undefined;
  readonly #follower: Follower | undefined;
  /** Of a store without sync. A syncer has its own. */
  readonly #tabs: Tabs | undefined;
  /** The work in the background ends: the store is closed, or a newer version has upgraded its database. */
  readonly #ending = new AbortController();
  #isClosed = false;
  /** The message of the errors since the database is no longer this tab's. */
  #endMessage: string | undefined;
  #later: Promise<LaterParts> | undefined;

  constructor(options: Complete<StoreOptions, typeof STORE_OPTIONS>, limits: Limits, codec: EventCodec) {
    const {
      name: given,
      person,
      platform = globalThis,
      sync,
      durability,
      deciders,
      eventTypes,
      onUnknownEvent,
      newerEvents,
      onConflict,
      commuting,
    } = options;
    const name = databaseName(given, person);
    const plan = sync && planSync(sync, limits);
    const rules = { ...(onConflict && { onConflict }), ...(commuting && { commuting }) };
    const known: Deciders = decidersByName(deciders.map((decider, i) => [`deciders[${i}]`, decider]));
    this.#limits = limits;
    const assertKnown = (event: Pick<EventBody, "type" | "schemaVersion">) => {
      if (newerEvents === "stop" && isNewer(eventTypes, event)) this.#stop(event.type);
    };
    this.#codec = {
      ...codec,
      read(event) {
        assertKnown(event);
        return codec.read(event);
      },
    };
    this.#scope = plan?.scope ?? null;
    const begin = plan === undefined ? {} : ({ authority: "edge", scope: this.#scope } as const);
    this.#database = new Database(name, platform, begin, {
      onEnded: (...ended) => this.#onEnded(...ended),
      onReopened: (isAnew) => this.#onReopened(isAnew),
      onHeld: (problem) => this.board.update({ problem }),
      countAgain: () => this.overview.refreshQuietly(),
    });
    const { tally } = this.#database;
    // The events of a store without `sync` are on this device alone, and so is what is parked.
    this.board = new StatusBoard(plan === undefined ? "local" : "offline", ({ pending, acknowledged, conflicts, cursor }) =>
      tally.count(plan === undefined ? (cursor?.position ?? 0) : Math.max(0, pending - acknowledged) + conflicts),
    );
    this.#claim = claimOf(options);
    this.#isToPersist = options.persist;
    this.#nobodys = person === undefined ? undefined : given;
    this.#identity = new Identity({
      database: this.#database,
      board: this.board,
      claim: this.#claim,
      token: plan?.edge.token,
      ending: this.#ending.signal,
      onClaimed: () => void this.overview.refreshQuietly(),
      onAdmitted: () => this.#syncer?.ask(),
    });
    this.reader = new Reader(this.#database, this.#codec, () => this.assertOpen());
    this.overview = new Overview({
      database: this.#database,
      board: this.board,
      ending: this.#ending.signal,
      readConflicts: () => this.#readConflicts(),
      onReplica: (replica) => this.#follower?.update(replica),
    });
    this.appender = new Appender(this.#database, durability, (streamIds, isParkedChanged, replica) => {
      tally.appended(streamIds);
      this.overview.written(streamIds.length, replica, isParkedChanged);
      if (replica !== undefined) this.#tabs?.post({ kind: "changed" });
      if (streamIds.length > 0) this.#syncer?.appended();
    });
    this.#internals = {
      name,
      platform,
      database: this.#database,
      limits,
      deciders: known,
      rules,
      ending: this.#ending.signal,
      append: (streamId, events, given, command) => this.append(streamId, events, given, command),
      fetched: async (streamId) => this.#follower?.follow(parseStreamId(streamId), "stream-exists"),
      followed: async (streamId) => {
        const id = parseStreamId(streamId);
        await this.#follower?.widen(id);
        if (this.#follower?.isMissing(id))
          throw new UnavailableError(`${id} is not on this device yet: it is fetched with the next sync.`, { streamId: id });
      },
      eventTypes,
      onUnknownEvent,
      read: this.#codec.read,
      assertKnown,
      watch: (listener) => this.overview.watch(listener),
    };
    if (plan === undefined) {
      this.#tabs = new Tabs(name, () => void this.overview.refreshQuietly());
      return;
    }
    this.#follower = new Follower(this.#database, () => this.syncer(), this.#scope, NEW_REPLICA);
    const follower = this.#follower;
    this.#syncer = new Syncer({
      name,
      database: this.#database,
      edge: { ...plan.edge, token: this.#identity.token },
      identity: this.#identity,
      settings: plan.settings,
      // Events that a rule puts in the place of a commit exist on this device alone.
      rules: async () =>
        known.size > 0 || Object.keys(rules).length > 0
          ? { resolve: (await this.later()).resolve, durability: "strict" }
          : { resolve: parkUndecided, durability: "relaxed" },
      board: this.board,
      ending: this.#ending.signal,
      canDecide: (wanted) => [...known.values()].some(({ name, version }) => `${name}@${version}` === wanted),
      refresh: () => this.overview.refreshQuietly(),
      follow: (streamIds) => follower.followAlso(streamIds),
      onWritten: ({ left, isParkedChanged }, replica) => {
        if (replica !== undefined) follower.update(replica);
        this.overview.written(-left.length, replica, isParkedChanged);
      },
    });
  }

  async open(): Promise<void> {
    await this.#identity.open();
    if (this.#nobodys !== undefined && (await this.#exists(this.#nobodys))) await (await this.later()).handOver(this.#nobodys, this.#claim);
    // An app's token is known before the first append, unless it needs the network.
    const identified = this.#identity.isUncertain ? this.#identity.identify() : undefined;
    if (this.#follower !== undefined) {
      await announceFilter(this.#internals.name, this.#scope, this.#ending.signal);
      const replica = await this.#database.run(readReplica);
      this.#follower.update(isFollowing(replica, this.#scope) ? replica : await (await this.later()).followFilter(this.#scope));
    }
    await this.overview.refresh();
    await identified;
    this.#syncer?.start();
    void this.persist(this.#isToPersist);
  }

  /** @param command what the events were decided for, if they were */
  async append(
    streamId: string,
    events: readonly (NewEvent | DecidedEvent)[],
    options: AppendOptions,
    command?: AppendRequest["command"],
  ): Promise<AppendResult> {
    this.#assertNotEnded();
    const id = parseStreamId(streamId);
    if (this.#identity.isUncertain) await this.#identity.identify();
    this.#identity.assertOwner();
    try {
      const { expectedVersion, causedBy } = completeOptions(options, APPEND_OPTIONS);
      const caused = withCause(assertNewEvents(events), causedBy);
      const checked = this.#codec.check === undefined ? caused : await this.#codec.check(caused);
      const commit = parseCommit({ streamId, expectedVersion, events: checked, command }, newEvents(), this.#limits);
      await this.#follower?.follow(id, commit.expectedVersion);
      return await this.appender.append({ commit, mayRepeat: events.some((event) => "id" in event && event.id !== undefined), command });
    } catch (error) {
      throw aboutStream(error, id);
    }
  }

  /** @throws InvalidRequestError if the store was opened without `sync` */
  syncer(): Syncer {
    this.#assertNotEnded();
    if (this.#syncer === undefined) throw new InvalidRequestError("The store was opened without `sync`.", { field: "sync" });
    return this.#syncer;
  }

  async sync(): Promise<void> {
    const syncer = this.syncer();
    if (this.#identity.isUncertain) await this.#identity.identify();
    await this.#identity.reconsider();
    this.#identity.assertOwner();
    do {
      await this.#follower?.followFilter();
      await syncer.sync();
    } while (this.#follower?.isFilterCovered === false);
    const { lost } = this.board.current;
    if (lost !== null)
      throw new CommitsLostError(`${lost.commits} commits are gone with this device's database. ${CommitsLostError.title}`);
  }

  async dismissLoss(): Promise<void> {
    await (await this.later()).dismissLoss();
    await this.overview.refresh();
    this.#syncer?.changed();
    this.#tabs?.post({ kind: "changed" });
  }

  /** What is loaded when it is first needed. @throws UnavailableError if that fails, e.g. since a deployment has replaced the file */
  async later(): Promise<LaterParts> {
    this.assertOpen();
    this.#later ??= importLater().then(
      (module) => new module.LaterParts(this.#internals),
      (error: unknown) => {
        this.#later = undefined;
        throw error;
      },
    );
    return this.#later;
  }

  async resolveParked(seq: number, isRebase: boolean): Promise<void> {
    await (await this.later()).resolveParked(seq, isRebase);
    await this.overview.refresh();
    this.#syncer?.appended();
  }

  /** @param isToAsk whether to ask the browser, which may ask the person, who may take their time */
  async persist(isToAsk: boolean): Promise<boolean | null> {
    const storage = globalThis.navigator?.storage;
    let persisted = await storage?.persisted?.();
    if (isToAsk && persisted !== true) persisted = await storage?.persist?.();
    this.board.update({ persisted: persisted ?? null });
    return this.board.current.persisted;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ending.abort();
    await this.#identity.idle();
    await this.#syncer?.idle();
    await this.appender.idle();
    this.#tabs?.close();
    await this.#database.close();
  }

  /** @throws StoreClosedError; OwnerMismatchError if the token is another person's */
  assertOpen(): void {
    this.#assertNotEnded();
    this.#identity.assertOwner();
  }

  #assertNotEnded(): void {
    if (this.#ending.signal.aborted) throw new StoreClosedError(this.#endMessage);
  }

  async #exists(database: string): Promise<boolean> {
    const all = await this.#database.run(async () => platformNow(this.#internals.platform).indexedDB.databases?.());
    return all?.some(({ name }) => name === database) === true;
  }

  /** If the code for it can't be loaded now, the status shows that there are some, and they follow when it can. */
  async #readConflicts() {
    const later = await this.later().catch(() => undefined);
    return later?.readConflicts((seq, isRebase) => this.resolveParked(seq, isRebase));
  }

  /**
   * What this tab has counted may be wrong, and commits may be pending of which no tab was notified. If the database was begun anew, what
   * sync remembers of commits is of the one that is gone, and new commits have their places.
   */
  #onReopened(isAnew: boolean): void {
    // What the edge had taken was of the database that is gone. It would be subtracted from what is on this device alone.
    if (isAnew) this.board.update({ acknowledged: 0 });
    if (isAnew) void this.#syncer?.redirected(true).catch(unlessStorage);
    this.#syncer?.appended();
    void this.overview.refreshQuietly();
  }

  /** Another tab has a newer version of the app. @throws StoreClosedError */
  #stop(type: string): never {
    const message = `This tab has an older version of the app than the one that recorded an event of the type ${type}: reload the web page.`;
    this.#onEnded("outdated", message);
    void this.close();
    throw new StoreClosedError(message);
  }

  #onEnded(connection: "outdated" | "deleted", message: string): void {
    this.#endMessage = message;
    this.#ending.abort();
    this.board.hold(undefined);
    this.board.update({ connection });
  }
}

function isNewer(types: EventTypes | undefined, { type, schemaVersion }: Pick<EventBody, "type" | "schemaVersion">): boolean {
  const known = types?.get(type);
  return known !== undefined && schemaVersion > known.version;
}

export const importLater = () => loadPart(() => import("./later.ts"));
