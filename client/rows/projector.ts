/**
 * Keeps a projection's rows up to date with the feed, and answers queries.
 *
 *     feed ──► a page ──► rows and checkpoint, one transaction ──► the next page … up to date ──► waits for a change
 *     query ──► stored rows, and the rows that other events change, in memory (`laid-rows.ts`) ──► result
 *
 * One tab folds, elected by a Web Lock. Without Web Locks several tabs fold, and the checkpoint shows which one was faster. While a new
 * version is built, queries read the rows of the previous version as they were left. If the history or the scope changes, all rows are built
 * again from the first event, so that events that came to the device later are folded in the order of their positions.
 */

import {
  type AnyProjection,
  checkRowQuery,
  type Folded,
  type FoundRow,
  findsNothing,
  foldFrom,
  foldRows,
  keysOfAll,
  type RowQuery,
} from "../../shared/device/projection.ts";
import type { Replica } from "../../shared/device/replica.ts";
import { HeadwaterError, StoreClosedError, UnavailableError } from "../../shared/errors.ts";
import { type FeedFilter, readerFilter } from "../../shared/feed-filter.ts";
import { messageOf } from "../../shared/thrown.ts";
import type { StoreInternals } from "../internals.ts";
import { followed, stretchAfter } from "../storage/confirmed.ts";
import { readReplica } from "../storage/device-log.ts";
import { flush } from "../storage/flush.ts";
import { openChannel } from "../sync/tabs.ts";
import { IS_DEVELOPMENT } from "../tools/development.ts";
import { whileElected } from "../tools/elected.ts";
import { LiveCell, type LiveValue } from "../tools/live-value.ts";
import { pause } from "../tools/pause.ts";
import { rerunOnChange } from "../tools/rerun-on-change.ts";
import { uncaught } from "../tools/uncaught.ts";
import { LaidRows } from "./laid-rows.ts";
import { RowDatabase } from "./row-database.ts";
import { deleteBefore, openBefore } from "./row-versions.ts";

export interface ProjectionStatus {
  /** `building`: there are no rows yet. `rebuilding`: queries read the rows of the previous version. `failed`: `error` says why. */
  readonly state: "building" | "rebuilding" | "ready" | "failed";
  /** The position up to which the feed is folded in. */
  readonly position: number;
  /** The position up to which the device holds the feed. */
  readonly head: number;
  /** Why folding failed; undefined unless `state` is `failed`. */
  readonly error: unknown;
}

/**
 * Milliseconds between a change and its folding. The change makes user interfaces query at once, and these queries come first: the new
 * events are folded in memory for them. All changes that come in this time are folded together.
 */
const SETTLE = 50;
/** Milliseconds until folding is tried again after a failure of the storage. */
const AGAIN = 2_000;

export class Projector {
  readonly #internals: StoreInternals;
  readonly #projection: AnyProjection;
  readonly #filter: FeedFilter;
  readonly #rows: RowDatabase;
  readonly #laid: LaidRows;
  /** The name of its Web Lock and of its broadcast channel. */
  readonly #name: string;
  /** The rows of the previous version, while queries read them. */
  #before: RowDatabase | undefined;
  readonly #status = new LiveCell<ProjectionStatus>({ state: "building", position: 0, head: 0, error: undefined });
  readonly #listeners = new Set<() => void>();
  /** Call these to run the background work again. */
  readonly #wake = new Set<() => void>();
  /** True once the rows of previous versions are deleted. */
  #isOnly = false;
  readonly #ended = new AbortController();
  /** Notifies the other tabs that more is folded, or why folding failed. A hint: a tab that misses it sees the result at the next change. */
  readonly #tabs: BroadcastChannel | undefined;
  /** Numbers what is read for the status, and what this tab does with the rows, in the order in which they begin. */
  #begun = 0;
  /** The number of what the status shows. */
  #shown = 0;
  /** Why the last try to fold failed, in this tab or in the tab that folds. */
  #failure: { readonly error: unknown } | undefined;
  /** The replica, as JSON, that is certainly on the disk. */
  #flushed = "";

  private constructor(internals: StoreInternals, projection: AnyProjection) {
    this.#internals = internals;
    this.#projection = projection;
    this.#filter = readerFilter(projection);
    this.#rows = new RowDatabase(internals, projection, () => this.#onRowsDeleted());
    this.#laid = new LaidRows(internals, projection, this.#rows);
    this.#name = `headwater:${internals.name}:projection:${projection.name}@${projection.version}`;
    this.#tabs = openChannel(this.#name);
    if (this.#tabs !== undefined) this.#tabs.onmessage = ({ data }: MessageEvent<string | null>) => this.#onMessage(data);
    internals.ending.addEventListener("abort", () => this.close(), { once: true, signal: this.#ended.signal });
  }

  static async open(internals: StoreInternals, projection: AnyProjection): Promise<Projector> {
    const projector = new Projector(internals, projection);
    try {
      const { isReady } = await projector.#rows.checkpoint();
      if (!isReady) projector.#before = await openBefore(internals, projection);
    } catch (error) {
      projector.close();
      throw error;
    }
    void projector.#elected();
    return projector;
  }

  get status(): ProjectionStatus {
    return this.#status.getSnapshot();
  }

  get liveStatus(): LiveValue<ProjectionStatus> {
    return this.#status;
  }

  /**
   * Calls `listener` after each change of the status or of query results.
   *
   * @returns a function that ends it
   */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#tabs?.close();
    this.#rows.close();
    this.#before?.close();
  }

  /** The rows that a query finds, pending events included. @throws InvalidRequestError if the query is not valid for the projection */
  async query(query: RowQuery): Promise<FoundRow<unknown>[]> {
    checkRowQuery(this.#projection, query);
    if (findsNothing(query)) return [];
    // If another tab has deleted them, the new rows are ready.
    if (this.#before !== undefined && !this.#before.isGone) return (await this.#before.find(query)).found;
    return this.#laid.query(query);
  }

  /**
   * Resolves when everything that the device holds is folded in.
   *
   * @throws the error that makes folding fail; StoreClosedError if the store or the projection is closed first
   */
  async caughtUp(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settled = new AbortController();
    this.#ended.signal.addEventListener("abort", () => reject(new StoreClosedError()), { signal: settled.signal });
    const check = () => {
      const { state, position, head, error } = this.status;
      if (state === "failed") reject(error);
      else if (state === "ready" && position >= head) resolve();
    };
    const unwatch = this.watch(check);
    await this.#refresh();
    check();
    return promise.finally(() => {
      unwatch();
      settled.abort();
    });
  }

  /** Runs in the background until the store or this projector is closed. */
  async #elected(): Promise<void> {
    const ending = this.#ended.signal;
    const watch = (listener: () => void) => {
      this.#wake.add(listener);
      const unwatch = this.#internals.watch(listener);
      return () => {
        this.#wake.delete(listener);
        unwatch();
      };
    };
    // A tab that does not fold reads the status again after each change.
    const stopRefreshing = rerunOnChange({ watch, ending }, () => this.#refreshQuietly());
    ending.addEventListener("abort", stopRefreshing);
    const begin = () => {
      stopRefreshing();
      return rerunOnChange({ watch, ending }, (isWanted) => this.#catchUp(isWanted));
    };
    await whileElected(this.#name, ending, begin, (denied) => {
      this.#failure = denied && { error: denied };
      void this.#refreshQuietly();
    });
  }

  async #catchUp(isWanted: () => boolean): Promise<void> {
    try {
      if (this.status.state === "ready") await pause(SETTLE, this.#ended.signal);
      while (isWanted() && (await this.#foldPage()));
      if (this.#failure !== undefined) this.#tabs?.postMessage(null);
      this.#failure = undefined;
      await this.#refresh();
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      this.#failure = { error };
      this.#fail(error);
      this.#tabs?.postMessage(messageOf(error));
      // What the app's code throws, it throws again. A failure of the storage may pass without any change of the store.
      if (error instanceof HeadwaterError) void pause(AGAIN, this.#ended.signal).then(() => this.#wakeAll());
    }
  }

  #fail(error: unknown): void {
    if (!this.#ended.signal.aborted) this.#show({ ...this.status, state: "failed", error });
  }

  /** @param reason why the tab that folds failed; null if it has folded more */
  #onMessage(reason: string | null): void {
    const message = `The tab that folds the projection ${this.#projection.name} failed, and tries again: ${reason}`;
    this.#failure = reason === null ? undefined : { error: new UnavailableError(message) };
    void this.#refreshQuietly();
  }

  /** Folds the next page. @returns true if there may be another one */
  async #foldPage(): Promise<boolean> {
    const { database } = this.#internals;
    const [checkpoint, replica] = await Promise.all([this.#rows.checkpoint(), database.run(readReplica)]);
    // Backfilled events come before the events that are there already, so they have to be folded first.
    if (replica.backfills.length > 0) return false;
    const { start, isAnew } = foldFrom(checkpoint, replica);
    if (!isAnew && checkpoint.isReady && checkpoint.position >= replica.position) return false;
    await this.#flush(replica);
    const stretch = await stretchAfter(database, replica, { after: start.position }, followed(this.#filter, replica));
    if (stretch === undefined) return false;
    const events = stretch.events.map((event) => this.#internals.read(event));
    const { end } = stretch;
    const isReady = start.isReady || end >= replica.position;
    const after: Folded = { ...start, position: end, isReady };
    const keys = keysOfAll(this.#projection, events);
    await this.#rows.fold({ before: checkpoint, after, isAnew }, keys, (rows) => foldRows(this.#projection, rows, events, IS_DEVELOPMENT));
    this.#shown = ++this.#begun;
    this.#show({ ...this.status, position: end, head: replica.position });
    this.#tabs?.postMessage(null);
    return true;
  }

  /**
   * Rows are stored in a separate database. The events have to be on the disk before the rows that are folded from them. Otherwise a crash
   * could delete the events, and leave rows of events that no longer exist.
   */
  async #flush(replica: Replica): Promise<void> {
    const state = JSON.stringify(replica);
    if (this.#flushed === state) return;
    await this.#internals.database.run(flush);
    this.#flushed = state;
  }

  async #refreshQuietly(): Promise<void> {
    await this.#refresh().catch((error: unknown) => this.#fail(error));
  }

  /** Reads the status again. */
  async #refresh(): Promise<void> {
    const { database } = this.#internals;
    const begun = ++this.#begun;
    const [checkpoint, replica] = await Promise.all([this.#rows.checkpoint(), database.run(readReplica)]);
    if (checkpoint.isReady && !this.#isOnly) await this.#deleteBefore();
    // A later status is shown already: this one would take it back.
    if (begun < this.#shown) return this.#refresh();
    this.#shown = begun;
    // Rows of another copy, or of another scope, are built again from the first event.
    const { position, isReady } = foldFrom(checkpoint, replica).start;
    const progress = { position, head: replica.position };
    if (this.#failure !== undefined) return this.#show({ state: "failed", ...progress, error: this.#failure.error });
    const state = isReady ? "ready" : this.#before === undefined ? "building" : "rebuilding";
    this.#show({ state, ...progress, error: undefined });
  }

  async #deleteBefore(): Promise<void> {
    this.#isOnly = true;
    this.#before?.close();
    this.#before = undefined;
    await deleteBefore(this.#internals, this.#projection);
  }

  /** A tab with a later version, or a person, has deleted the rows. */
  #onRowsDeleted(): void {
    if (this.#ended.signal.aborted) return;
    this.#shown = ++this.#begun;
    this.#show({ ...this.status, state: "building", position: 0 });
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#wake) wake();
  }

  #show(status: ProjectionStatus): void {
    this.#status.set(status);
    for (const listener of this.#listeners) uncaught(listener);
  }
}
