/**
 * The deletion of a store, as its log sees it. One durable write begins it, and the rest is done in portions: by the log's alarm, and by each
 * request of the operator.
 *
 *     begin: note, alarm ──► subscriptions ──► streams, with their rows of the log ──► streams of the index ──► the note alone, and the log's id
 *        │                        └──── a portion: some objects are called, then one transaction removes what they have lost ────┘
 *        └── from here on the log refuses everything else, and closes its feed sockets
 *
 *     "deleted"   what is left (`DeletionNote`). It is never removed: a store of this name is not begun again
 *
 * Each object is called before the log forgets it, and may be called again. So a log that is killed goes on where it was. Streams that the
 * log has lost may be in the index of streams. A stream that neither knows asks the log before its first event is acknowledged, and loses it
 * then: `worker/stream/stream-deletion.ts`.
 */
import { afterPortion, confirmDeletion, type DeletionNote, deletionOf, type Portion, storeDeleted } from "../../shared/edge/deletion.ts";
import type { StoreDeletion } from "../../shared/wire/deletion.ts";
import type { EdgeEnv } from "../env.ts";
import { alarmDelay } from "../objects/alarm-delay.ts";
import { callObject, type Retries } from "../objects/calls.ts";
import { eachInFlight } from "../objects/in-flight.ts";
import { now } from "../objects/platform.ts";
import { type Refused, toRefused } from "../objects/refused.ts";
import type { SharedAlarm } from "../objects/shared-alarm.ts";
import { logFault } from "../report/journal.ts";
import type { LogRuns } from "./log-runs.ts";
import { enrolledIn, subscriptionsOf } from "./notifier.ts";
import type { StreamIndexing } from "./stream-indexing.ts";

export interface DeletionHost {
  readonly state: DurableObjectState;
  readonly env: EdgeEnv;
  readonly alarm: SharedAlarm;
  readonly runs: LogRuns;
  readonly indexing: StreamIndexing;
  /** The store is deleted from now on. Called in the turn of the write. */
  onBegun(): void;
}

const KEY = "deleted";
/** Objects that a portion calls, at most, and its retries, all calls together: below the 50 subrequests of the free plan, if each call counts. */
const OBJECTS = 40;
const RETRIES = 4;
/** Rows that a portion removes, at most. */
const ROWS = 2_000;
/** Tables with rows of streams. `staged` is there during a restore. */
const TABLES = ["runs", "staged"] as const;

type Table = (typeof TABLES)[number];

export class LogDeletion {
  readonly #host: DeletionHost;
  readonly #storage: DurableObjectStorage;
  #note: DeletionNote | undefined;
  #portion: Promise<void> | undefined;
  /** Streams that could not be called: the others go first. */
  readonly #failed = new Set<string>();
  #failures = 0;

  constructor(host: DeletionHost) {
    this.#host = host;
    this.#storage = host.state.storage;
    this.#note = this.#storage.kv.get<DeletionNote>(KEY);
  }

  /** The answer to everybody but the operator who deletes; undefined if the store is not deleted. */
  get refused(): Refused | undefined {
    return this.#note === undefined ? undefined : toRefused(storeDeleted());
  }

  /** @throws StoreDeletedError */
  assertPresent(): void {
    if (this.#note !== undefined) throw storeDeleted();
  }

  /** The result of a search in the rows, which may be going meanwhile. @throws StoreDeletedError; what the search throws */
  async whilePresent<T>(search: Promise<T>): Promise<T> {
    try {
      return await search;
    } finally {
      this.assertPresent();
    }
  }

  /** Goes on after a wake. To be called once the alarm is loaded. */
  woke(): void {
    if (this.#note?.isDone === false) this.#host.alarm.arm(now(this.#host.state));
  }

  /**
   * Begins the deletion, and removes a portion of what is left. To be called again until nothing is.
   *
   * @param given the log's id, as the request names it
   * @param isDry nothing is deleted
   * @returns what is left; before the deletion, what would go
   * @throws InvalidRequestError, LogMismatchError
   */
  async run(store: string, given: string | undefined, isDry: boolean): Promise<StoreDeletion> {
    if (isDry) return this.#status();
    this.#begin(store, given);
    await this.#advance();
    return this.#status();
  }

  #status(): StoreDeletion {
    const { log, head } = this.#host.runs;
    if (this.#note !== undefined) return deletionOf(log, this.#note);
    const { streams, subscriptions } = this.#whole();
    return { log, state: "present", events: head, streams, subscriptions: subscriptions.length };
  }

  #whole(): Pick<DeletionNote, "streams" | "subscriptions"> {
    const { env, runs } = this.#host;
    let streams = runs.countStreams();
    if (this.#has("staged")) {
      const query = "SELECT count(DISTINCT stream_id) AS streams FROM staged WHERE stream_id NOT IN (SELECT stream_id FROM runs)";
      streams += this.#storage.sql.exec<{ streams: number }>(query).one().streams;
    }
    return { streams, subscriptions: env.SUBSCRIPTIONS === undefined ? [] : enrolledIn(this.#storage) };
  }

  #begin(store: string, given: string | undefined): void {
    const { runs, alarm, state, onBegun } = this.#host;
    confirmDeletion(runs.log, given);
    if (this.#note !== undefined) return;
    const note: DeletionNote = { store, events: runs.head, ...this.#whole(), isDone: false };
    this.#storage.kv.put(KEY, note);
    this.#note = note;
    // There is no await in between, so the alarm is part of the same write.
    alarm.arm(now(state));
    onBegun();
  }

  /** Removes a portion; joins one under way. @throws what the platform threw, if no object of the portion could be called */
  #advance(): Promise<void> {
    if (this.#portion === undefined) {
      this.#portion = Promise.resolve()
        .then(() => this.#removePortion())
        .finally(() => {
          this.#portion = undefined;
        });
      this.#host.state.waitUntil(this.#portion.catch(() => undefined)); // whoever waits for it gets the error
    }
    return this.#portion;
  }

  /** Does not throw: the platform gives up an alarm that threw six times. */
  async onAlarm(): Promise<void> {
    if (this.#note?.isDone !== false) return;
    const { alarm, state } = this.#host;
    try {
      await this.#advance();
      this.#failures = 0;
      if (!this.#note.isDone) alarm.arm(now(state));
    } catch (error) {
      logFault("deletion", error, { store: this.#note.store });
      alarm.arm(now(state) + alarmDelay(this.#failures++));
    }
  }

  async #removePortion(): Promise<void> {
    const note = this.#note;
    if (note?.isDone !== false) return;
    const { env, indexing } = this.#host;
    const retries: Retries = { left: RETRIES };
    if (note.subscriptions.length > 0) {
      const names = await this.#called(note.subscriptions.slice(0, OBJECTS), (name) =>
        callObject(
          () => subscriptionsOf(env).getByName(`${note.store}/${name}`),
          (subscription) => subscription.erase(),
          retries,
        ),
      );
      return this.#remove(note, [], names);
    }
    const logged = this.#nextStreams();
    const streams = await this.#called(logged.length > 0 ? logged : await this.#indexedStreams(note), (streamId) =>
      callObject(
        () => env.STREAMS.getByName(`${note.store}/${streamId}`),
        (stream) => stream.erase(`${note.store}/${streamId}`),
        retries,
      ),
    );
    const isIndexed = await indexing.remove(note.store, streams).catch((error: unknown) => {
      if (logged.length === 0) throw error;
      // The streams that the log knows do not wait for it: what stays in it is deleted once more at the end.
      logFault("index", error, { store: note.store });
      return true;
    });
    this.#remove(note, streams, [], isIndexed);
  }

  /** Streams that the index knows, and the log does not. */
  async #indexedStreams({ store }: DeletionNote): Promise<readonly string[]> {
    const { streams } = await this.#host.indexing.list(store, "", OBJECTS + this.#failed.size);
    const others = streams.filter((streamId) => !this.#failed.has(streamId));
    return (others.length > 0 ? others : streams).slice(0, OBJECTS);
  }

  /** Calls an object for each of the names. @returns those that have answered @throws the first error, if none has */
  async #called(names: readonly string[], call: (name: string) => Promise<void>): Promise<string[]> {
    const outcomes = await eachInFlight(names, call);
    const failed = outcomes.find(({ error }) => error !== undefined);
    const done = names.filter((_, i) => outcomes[i]?.error === undefined);
    for (const name of names) this.#failed.add(name);
    for (const name of done) this.#failed.delete(name);
    if (failed !== undefined && done.length === 0) throw failed.error;
    return done;
  }

  #nextStreams(): string[] {
    const streams = this.#streamsBut(this.#failed);
    return streams.length > 0 ? streams : this.#streamsBut(new Set());
  }

  #streamsBut(left: ReadonlySet<string>): string[] {
    const streams: string[] = [];
    for (const table of TABLES.filter((name) => this.#has(name))) {
      let last = "";
      while (streams.length < OBJECTS) {
        const query = `SELECT min(stream_id) AS next FROM ${table} WHERE stream_id > ?`;
        const { next } = this.#storage.sql.exec<{ next: string | null }>(query, last).one();
        if (next === null) break;
        if (!left.has(next) && !streams.includes(next)) streams.push(next);
        last = next;
      }
    }
    return streams;
  }

  /**
   * @param streams that have lost everything. The rows that the log has of them go now, or in the next portions
   * @param isIndexed the index still has streams
   */
  #remove(note: DeletionNote, streams: readonly string[], subscriptions: readonly string[], isIndexed = true): void {
    const next = this.#storage.transactionSync(() => {
      const removed = this.#removeRows(streams);
      const hasMore = isIndexed || TABLES.some((table) => this.#has(table) && !this.#isEmpty(table));
      const after = afterPortion(note, { ...removed, subscriptions, hasMore });
      if (after.isDone) this.#removeRest();
      this.#storage.kv.put(KEY, after);
      return after;
    });
    this.#note = next;
  }

  #removeRows(streams: readonly string[]): Pick<Portion, "events" | "streams"> {
    let left = ROWS;
    let events = 0;
    let gone = 0;
    for (const streamId of streams) {
      let isGone = true;
      for (const table of TABLES.filter((name) => this.#has(name))) {
        const removed = this.#removeRowsOf(table, streamId, left);
        if (removed.rows === left) isGone = false;
        left -= removed.rows;
        if (table === "runs") events += removed.events;
      }
      if (isGone) gone++;
      if (left === 0) break;
    }
    return { events, streams: gone };
  }

  #removeRowsOf(table: Table, streamId: string, limit: number): { rows: number; events: number } {
    const { sql } = this.#storage;
    const some = `FROM ${table} WHERE stream_id = ? ORDER BY last_version LIMIT ?`;
    const count = `SELECT count(*) AS rows, coalesce(sum(size), 0) AS events FROM (SELECT last_version - first_version + 1 AS size ${some})`;
    const removed = sql.exec<{ rows: number; events: number }>(count, streamId, limit).one();
    sql.exec(`DELETE FROM ${table} WHERE last_position IN (SELECT last_position ${some})`, streamId, limit);
    return removed;
  }

  /** What the log has besides its rows and its id: of subscriptions, restores, streams that diverged, and blocks. */
  #removeRest(): void {
    const { kv, sql } = this.#storage;
    sql.exec("DROP TABLE IF EXISTS staged");
    this.#host.runs.outlines.clear();
    for (const [key] of [...kv.list()]) if (key !== KEY) kv.delete(key);
  }

  #has(table: Table): boolean {
    return table === "runs" || this.#storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = ?", table).toArray().length > 0;
  }

  #isEmpty(table: Table): boolean {
    return this.#storage.sql.exec(`SELECT 1 FROM ${table} LIMIT 1`).toArray().length === 0;
  }
}
