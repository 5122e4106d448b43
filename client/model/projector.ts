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

import { InvalidRequestError, StoreClosedError } from "../../shared/errors.ts";
import type { RecordedEvent } from "../../shared/event.ts";
import { type FeedFilter, readerFilter } from "../../shared/feed-filter.ts";
import type { History } from "../../shared/history.ts";
import {
  type AnyProjection,
  type Folded,
  type FoundRow,
  foldFrom,
  foldRows,
  isOfCopy,
  keysOfAll,
  overlaid,
  type RowQuery,
} from "../../shared/projection.ts";
import { entriesOf } from "../bundles.ts";
import { allBundles, pendingEvents, readHistory } from "../device-log.ts";
import type { StreamEvent } from "../event-store.ts";
import { pause } from "../pause.ts";
import { openChannel } from "../tabs.ts";
import { followed, stretchAfter } from "./confirmed.ts";
import { whileElected } from "./elected.ts";
import { flush } from "./flush.ts";
import type { Kit } from "./kit.ts";
import { latest } from "./latest.ts";
import { RowDatabase, rowsName } from "./row-database.ts";
import { uncaught } from "./uncaught.ts";

export interface ProjectionStatus {
  /** `building`: there are no rows yet; `rebuilding`: rows of the version before answer; `failed`: `error` says why. */
  readonly state: "building" | "rebuilding" | "ready" | "failed";
  /** Up to where the feed is folded in. */
  readonly position: number;
  /** Up to where the device holds it. */
  readonly head: number;
  readonly error: unknown;
}

/** Confirmed events behind the checkpoint that a query folds in by itself; where there are more, it answers without. */
const BEHIND = 1000;

/**
 * Milliseconds between a change and its folding, which shares the database with whoever asks for rows because of it. They fold it in by
 * themselves, and what comes meanwhile is folded together.
 */
const SETTLE = 50;

export class Projector {
  readonly #kit: Kit;
  readonly #projection: AnyProjection;
  readonly #filter: FeedFilter;
  readonly #rows: RowDatabase;
  /** Of the version before, while it answers. */
  #before: RowDatabase | undefined;
  #status: ProjectionStatus = { state: "building", position: 0, head: 0, error: undefined };
  readonly #listeners = new Set<() => void>();
  readonly #ended = new AbortController();
  /** Tells the other tabs that more is folded. A hint: what is not heard is seen at the next change. */
  readonly #tabs: BroadcastChannel | undefined;
  /** The history that is on the disk for certain. */
  #flushed = "";

  private constructor(kit: Kit, projection: AnyProjection, rows: RowDatabase, before: RowDatabase | undefined) {
    this.#kit = kit;
    this.#projection = projection;
    this.#filter = readerFilter(projection);
    this.#rows = rows;
    this.#before = before;
    this.#tabs = openChannel(`headwater:${rowsName(kit.name, projection.name, projection.version)}`);
    if (this.#tabs !== undefined) this.#tabs.onmessage = () => void this.#lookQuietly();
    kit.ending.addEventListener("abort", () => this.close(), { once: true, signal: this.#ended.signal });
  }

  static async open(kit: Kit, projection: AnyProjection): Promise<Projector> {
    const rows = await RowDatabase.open(kit, projection);
    const { isReady } = await rows.checkpoint();
    const before = isReady ? undefined : await openBefore(kit, projection);
    const projector = new Projector(kit, projection, rows, before);
    void projector.#elected();
    return projector;
  }

  get status(): ProjectionStatus {
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
    if (this.#ended.signal.aborted) throw new StoreClosedError("The store is closed, or another version of the projection is open.");
    const { indexes = [] } = this.#projection;
    if (query.index !== undefined && !indexes.includes(query.index)) {
      throw new InvalidRequestError(`${this.#projection.name} has no index ${query.index}.`, { field: "index" });
    }
    if (this.#before !== undefined) return (await this.#before.find(query, 0)).found;
    for (;;) {
      const before = await this.#rows.checkpoint();
      const beyond = await this.#notFolded(before);
      if (beyond === undefined) continue;
      const { events, isOther } = beyond;
      const keys = keysOfAll(this.#projection, events);
      const [{ found, checkpoint }, touched] = await Promise.all([this.#rows.find(query, keys.size), this.#rows.rowsOf(keys)]);
      // A page was folded in meanwhile.
      if (![checkpoint, touched.checkpoint].every((now) => JSON.stringify(now) === JSON.stringify(before))) continue;
      const [stored, rows] = isOther ? [[], new Map<string, unknown>()] : [found, touched.rows];
      return overlaid<unknown>(query, stored, foldRows(this.#projection, rows, events));
    }
  }

  async caughtUp(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      const { state, position, head, error } = this.#status;
      if (state === "failed") reject(error);
      else if (state === "ready" && position >= head) resolve();
    };
    const unwatch = this.watch(look);
    await this.#look();
    look();
    return promise.finally(unwatch);
  }

  /** Works until the store is closed, or the projection is. */
  async #elected(): Promise<void> {
    const { name, watch } = this.#kit;
    const ending = this.#ended.signal;
    // A tab that does not fold is told of what another one has folded by the change that led to it; it looks.
    const looking = latest({ watch, ending }, () => this.#lookQuietly());
    ending.addEventListener("abort", looking);
    await whileElected(`headwater:${name}/${this.#projection.name}`, ending, () => {
      looking();
      return latest({ watch, ending }, (isWanted) => this.#catchUp(isWanted));
    });
  }

  async #catchUp(isWanted: () => boolean): Promise<void> {
    try {
      if (this.#status.state === "ready") await pause(SETTLE, this.#ended.signal);
      while (isWanted() && (await this.#foldPage()));
      await this.#look();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!this.#ended.signal.aborted) this.#show({ ...this.#status, state: "failed", error });
  }

  /** Folds the next page in. @returns whether there may be another */
  async #foldPage(): Promise<boolean> {
    const { database } = this.#kit;
    const [checkpoint, history] = await Promise.all([this.#rows.checkpoint(), database.run(readHistory)]);
    // What is filled in stands before what is there: it has to be folded first.
    if (history.fills.length > 0) return false;
    const { start, isAnew } = foldFrom(checkpoint, history);
    if (!isAnew && checkpoint.isReady && checkpoint.position >= history.position) return false;
    await this.#flush(history);
    const stretch = await stretchAfter(database, history, { after: start.position }, followed(this.#filter, history));
    if (stretch === undefined) return false;
    const events = stretch.events.map((event) => this.#kit.read(event));
    const { end } = stretch;
    const isReady = start.isReady || end >= history.position;
    const after: Folded = { ...start, position: end, isReady };
    const keys = keysOfAll(this.#projection, events);
    await this.#rows.fold({ before: checkpoint, after, isAnew }, keys, (rows) => foldRows(this.#projection, rows, events));
    this.#show({ ...this.#status, position: end, head: history.position });
    this.#tabs?.postMessage(null);
    return true;
  }

  /**
   * Rows stand in a database of their own. What they are folded from has to be on the disk before them: else a crash may take it, and
   * leave rows of events that nobody has any more.
   */
  async #flush(history: History): Promise<void> {
    const state = JSON.stringify(history);
    if (this.#flushed === state) return;
    await this.#kit.database.run(flush);
    this.#flushed = state;
  }

  /**
   * What the device holds beyond the rows: confirmed events behind the checkpoint, then pending ones; undefined where it has let go of them
   * meanwhile. Where the rows are of another copy of the log, that is all that it holds.
   */
  async #notFolded(folded: Folded): Promise<{ events: readonly RecordedEvent[]; isOther: boolean } | undefined> {
    const { database } = this.#kit;
    // In this order: what is confirmed between the two is seen twice, and told apart by its id.
    const [bundles, history] = await Promise.all([database.run(allBundles), database.run(readHistory)]);
    const behind: RecordedEvent[] = [];
    const isOther = !isOfCopy(folded, history);
    for (let after = isOther ? 0 : folded.position; after < history.position && behind.length <= BEHIND; ) {
      const stretch = await stretchAfter(database, history, { after }, followed(this.#filter, history));
      if (stretch === undefined) return undefined;
      behind.push(...stretch.events);
      after = stretch.end;
    }
    const confirmed = behind.length > BEHIND ? [] : behind;
    const ids = new Set(behind.map(({ id }) => id));
    const pending = bundles
      .flatMap((bundle) => entriesOf(bundle, this.#filter.stream))
      .flatMap((entry): StreamEvent[] => pendingEvents(entry))
      .filter((event) => !ids.has(event.id) && (this.#filter.content?.(event) ?? true));
    return { events: [...confirmed, ...pending].map((event) => this.#kit.read(event)), isOther };
  }

  async #lookQuietly(): Promise<void> {
    await this.#look().catch((error: unknown) => this.#fail(error));
  }

  async #look(): Promise<void> {
    const { database } = this.#kit;
    const [checkpoint, history] = await Promise.all([this.#rows.checkpoint(), database.run(readHistory)]);
    if (checkpoint.isReady && this.#before !== undefined) await this.#letGoOfBefore(this.#before);
    const state = checkpoint.isReady ? "ready" : this.#before === undefined ? "building" : "rebuilding";
    this.#show({ state, position: checkpoint.position, head: history.position, error: undefined });
  }

  async #letGoOfBefore(before: RowDatabase): Promise<void> {
    this.#before = undefined;
    before.close();
    for (const name of await olderNames(this.#kit, this.#projection)) this.#kit.platform.indexedDB.deleteDatabase(name);
  }

  #show(status: ProjectionStatus): void {
    this.#status = status;
    for (const listener of this.#listeners) uncaught(listener);
  }
}

/** Databases of other versions of the projection; none where the browser can't tell. */
async function olderNames({ name: store, platform }: Kit, { name, version }: AnyProjection): Promise<string[]> {
  const prefix = rowsName(store, name, 0).slice(0, -1);
  const databases = (await platform.indexedDB.databases?.()) ?? [];
  const names = databases.flatMap((database) => (database.name?.startsWith(prefix) ? [database.name] : []));
  return names.filter((other) => other !== rowsName(store, name, version)).sort((a, b) => versionOf(b) - versionOf(a));
}

function versionOf(name: string): number {
  return Number(name.slice(name.lastIndexOf("@") + 1));
}

/** The latest version before that has caught up once. */
async function openBefore(kit: Kit, projection: AnyProjection): Promise<RowDatabase | undefined> {
  for (const name of await olderNames(kit, projection)) {
    const version = versionOf(name);
    if (!(version < projection.version)) continue;
    const rows = await RowDatabase.open(kit, { ...projection, version });
    if ((await rows.checkpoint()).isReady) return rows;
    rows.close();
  }
  return undefined;
}
