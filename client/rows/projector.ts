/**
 * Keeps a projection's rows in step with the feed, and answers queries of them.
 *
 *     feed ──► a page ──► rows and checkpoint, one transaction ──► the next page … in step ──► waits for a change
 *     query ──► stored rows ──► confirmed events behind the checkpoint, pending events: folded over them in memory ──► answer
 *
 * One tab folds, by a Web Lock where there are some; without, the checkpoint tells who was faster. While a new version is built, the
 * rows of the one before answer as they were left. Another history, or another part of the store, and all is built anew: rows of
 * events that came to the device later stand where they would have stood.
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
  overlaid,
  type RowQuery,
} from "../../shared/device/projection.ts";
import type { Replica } from "../../shared/device/replica.ts";
import { StoreClosedError, UnavailableError } from "../../shared/errors.ts";
import { type FeedFilter, readerFilter } from "../../shared/feed-filter.ts";
import { sameJson } from "../../shared/json.ts";
import { messageOf } from "../../shared/thrown.ts";
import type { StoreInternals } from "../internals.ts";
import { followed, stretchAfter } from "../storage/confirmed.ts";
import { readReplica } from "../storage/device-log.ts";
import { flush } from "../storage/flush.ts";
import { openChannel } from "../sync/tabs.ts";
import { whileElected } from "../tools/elected.ts";
import { LiveCell, type LiveValue } from "../tools/live-value.ts";
import { pause } from "../tools/pause.ts";
import { rerunOnChange } from "../tools/rerun-on-change.ts";
import { uncaught } from "../tools/uncaught.ts";
import { RowDatabase } from "./row-database.ts";
import { deleteBefore, openBefore } from "./row-versions.ts";
import { unfolded } from "./unfolded.ts";

export interface ProjectionStatus {
  /** `building`: there are no rows yet; `rebuilding`: rows of the version before answer; `failed`: `error` says why. */
  readonly state: "building" | "rebuilding" | "ready" | "failed";
  /** Up to where the feed is folded in. */
  readonly position: number;
  /** Up to where the device holds it. */
  readonly head: number;
  readonly error: unknown;
}

/**
 * Milliseconds between a change and its folding, which shares the database with whoever asks for rows because of it. They fold it in by
 * themselves, and what comes meanwhile is folded together.
 */
const SETTLE = 50;

export class Projector {
  readonly #internals: StoreInternals;
  readonly #projection: AnyProjection;
  readonly #filter: FeedFilter;
  readonly #rows: RowDatabase;
  /** Of its lock, and of its channel. */
  readonly #name: string;
  /** Of the version before, while it answers. */
  #before: RowDatabase | undefined;
  readonly #status = new LiveCell<ProjectionStatus>({ state: "building", position: 0, head: 0, error: undefined });
  readonly #listeners = new Set<() => void>();
  /** Looks again. */
  readonly #wake = new Set<() => void>();
  /** Rows of versions before are deleted. */
  #isOnly = false;
  readonly #ended = new AbortController();
  /** Tells the other tabs that more is folded, or why not. A hint: what is not heard is seen at the next change. */
  readonly #tabs: BroadcastChannel | undefined;
  /** Why the last try to fold failed, here or in the tab that folds. */
  #failure: { readonly error: unknown } | undefined;
  /** The history that is on the disk for certain. */
  #flushed = "";

  private constructor(internals: StoreInternals, projection: AnyProjection) {
    this.#internals = internals;
    this.#projection = projection;
    this.#filter = readerFilter(projection);
    this.#rows = new RowDatabase(internals, projection, () => this.#rowsAreGone());
    this.#name = `headwater:${internals.name}:projection:${projection.name}@${projection.version}`;
    this.#tabs = openChannel(this.#name);
    if (this.#tabs !== undefined) this.#tabs.onmessage = ({ data }: MessageEvent<string | null>) => this.#hear(data);
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

  /** Told of each change: of the status, and of what queries answer. @returns ends it */
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

  /** Rows that a query finds, as the device sees them: pending events included. */
  async query(query: RowQuery): Promise<FoundRow<unknown>[]> {
    checkRowQuery(this.#projection, query);
    if (findsNothing(query)) return [];
    // Who deletes them has found the new ones ready.
    if (this.#before !== undefined && !this.#before.isGone) return (await this.#before.find(query, 0)).found;
    for (;;) {
      const before = await this.#rows.checkpoint();
      const beyond = await unfolded(this.#internals, this.#filter, before);
      if (beyond === undefined) continue;
      const { events, isOther } = beyond;
      const keys = keysOfAll(this.#projection, events);
      const [{ found, checkpoint }, touched] = await Promise.all([this.#rows.find(query, keys.size), this.#rows.rowsOf(keys)]);
      // A page was folded in meanwhile.
      if (![checkpoint, touched.checkpoint].every((now) => sameJson(now, before))) continue;
      const [stored, rows] = isOther ? [[], new Map<string, unknown>()] : [found, touched.rows];
      return overlaid<unknown>(query, stored, foldRows(this.#projection, rows, events));
    }
  }

  async caughtUp(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settled = new AbortController();
    this.#ended.signal.addEventListener("abort", () => reject(new StoreClosedError()), { signal: settled.signal });
    const look = () => {
      const { state, position, head, error } = this.status;
      if (state === "failed") reject(error);
      else if (state === "ready" && position >= head) resolve();
    };
    const unwatch = this.watch(look);
    await this.#look();
    look();
    return promise.finally(() => {
      unwatch();
      settled.abort();
    });
  }

  /** Works until the store is closed, or the projection is. */
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
    // A tab that does not fold is told of what another one has folded by the change that led to it; it looks.
    const looking = rerunOnChange({ watch, ending }, () => this.#lookQuietly());
    ending.addEventListener("abort", looking);
    await whileElected(this.#name, ending, () => {
      looking();
      return rerunOnChange({ watch, ending }, (isWanted) => this.#catchUp(isWanted));
    });
  }

  async #catchUp(isWanted: () => boolean): Promise<void> {
    try {
      if (this.status.state === "ready") await pause(SETTLE, this.#ended.signal);
      while (isWanted() && (await this.#foldPage()));
      this.#failure = undefined;
      await this.#look();
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      this.#failure = { error };
      this.#fail(error);
      this.#tabs?.postMessage(messageOf(error));
    }
  }

  #fail(error: unknown): void {
    if (!this.#ended.signal.aborted) this.#show({ ...this.status, state: "failed", error });
  }

  /** @param reason why the tab that folds could not; null: it has folded more */
  #hear(reason: string | null): void {
    this.#failure =
      reason === null ? undefined : { error: new UnavailableError(`The tab that folds ${this.#projection.name} failed: ${reason}`) };
    void this.#lookQuietly();
  }

  /** Folds the next page in. @returns whether there may be another */
  async #foldPage(): Promise<boolean> {
    const { database } = this.#internals;
    const [checkpoint, replica] = await Promise.all([this.#rows.checkpoint(), database.run(readReplica)]);
    // What is filled in stands before what is there: it has to be folded first.
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
    await this.#rows.fold({ before: checkpoint, after, isAnew }, keys, (rows) => foldRows(this.#projection, rows, events));
    this.#show({ ...this.status, position: end, head: replica.position });
    this.#tabs?.postMessage(null);
    return true;
  }

  /**
   * Rows stand in a database of their own. What they are folded from has to be on the disk before them: else a crash may take it, and
   * leave rows of events that nobody has any more.
   */
  async #flush(replica: Replica): Promise<void> {
    const state = JSON.stringify(replica);
    if (this.#flushed === state) return;
    await this.#internals.database.run(flush);
    this.#flushed = state;
  }

  async #lookQuietly(): Promise<void> {
    await this.#look().catch((error: unknown) => this.#fail(error));
  }

  async #look(): Promise<void> {
    const { database } = this.#internals;
    const [checkpoint, replica] = await Promise.all([this.#rows.checkpoint(), database.run(readReplica)]);
    if (checkpoint.isReady && !this.#isOnly) await this.#letGoOfBefore();
    const progress = { position: checkpoint.position, head: replica.position };
    if (this.#failure !== undefined) return this.#show({ state: "failed", ...progress, error: this.#failure.error });
    const state = checkpoint.isReady ? "ready" : this.#before === undefined ? "building" : "rebuilding";
    this.#show({ state, ...progress, error: undefined });
  }

  async #letGoOfBefore(): Promise<void> {
    this.#isOnly = true;
    this.#before?.close();
    this.#before = undefined;
    await deleteBefore(this.#internals, this.#projection);
  }

  /** Deleted by a tab with a later version, or by hand. */
  #rowsAreGone(): void {
    if (this.#ended.signal.aborted) return;
    this.#show({ ...this.status, state: "building", position: 0 });
    for (const wake of this.#wake) wake();
  }

  #show(status: ProjectionStatus): void {
    this.#status.set(status);
    for (const listener of this.#listeners) uncaught(listener);
  }
}
