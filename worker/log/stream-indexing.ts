/**
 * The index of streams (`StreamIndex`) as the log uses it: it tells the index which streams are new.
 *
 *     publish, restore ── a stream begins ──► alarm, within a minute ──► rows since the last time ──► the index ──► "indexed"
 *
 *     "indexed"   the store, and the position up to which the index knows the log's streams
 *
 * Telling it again is always safe. A log that was put back tells the index again what it knew already.
 */
import type { IndexedStreams } from "../../shared/wire/reconcile.ts";
import type { EdgeEnv } from "../env.ts";
import { alarmDelay } from "../objects/alarm-delay.ts";
import { callObject } from "../objects/calls.ts";
import { now } from "../objects/platform.ts";
import type { SharedAlarm } from "../objects/shared-alarm.ts";
import { logFault } from "../report/journal.ts";
import type { LogObject } from "./log-object.ts";
import type { LogRuns } from "./log-runs.ts";
import { indexName } from "./stream-index.ts";

export interface IndexingHost {
  readonly state: DurableObjectState;
  readonly env: EdgeEnv;
  readonly alarm: SharedAlarm;
  readonly runs: LogRuns;
}

interface Indexed {
  /** The store's id: an alarm may not know it otherwise. */
  readonly store: string;
  readonly position: number;
}

const KEY = "indexed";
/** So many milliseconds after a stream began, at most, the index is told: one call for all that began meanwhile. */
const WITHIN = 60_000;
/** Rows of a part, and parts of an alarm, at most. */
const ROWS = 1_000;
const PARTS = 10;

export class StreamIndexing {
  readonly #host: IndexingHost;
  #indexed: Indexed | undefined;
  /** Streams may have begun. After a wake nothing is known. */
  #isDue = true;
  #failures = 0;
  #telling: Promise<void> = Promise.resolve();

  constructor(host: IndexingHost) {
    this.#host = host;
    this.#indexed = host.state.storage.kv.get<Indexed>(KEY);
  }

  /** A log of a version that had no index. @param store undefined if the object does not know it */
  woke(store: string | undefined): void {
    if (this.#indexed === undefined && this.#host.runs.head > 0 && store !== undefined) this.begun(store);
  }

  /** To be called in the turn of the write by which streams begin, so that the alarm is part of it. */
  begun(store: string): void {
    const { state, alarm } = this.#host;
    this.#isDue = true;
    if (this.#indexed === undefined) this.#write({ store, position: 0 });
    alarm.arm(now(state) + WITHIN);
  }

  /** The streams of the index after one. */
  async list(store: string, after: string, limit: number): Promise<IndexedStreams> {
    // What is on its way is part of it.
    await this.#telling;
    return this.#call(store, (index) => index.listIndex(after, limit));
  }

  /** Removes streams that were deleted, and the index with the last of them. @returns whether it has any others */
  async remove(store: string, streamIds: readonly string[]): Promise<boolean> {
    await this.#telling;
    return this.#call(store, (index) => index.removeFromIndex(streamIds));
  }

  /** Does not reject: the platform gives up an alarm that threw six times. */
  onAlarm(): Promise<void> {
    if (this.#isDue) this.#telling = this.#telling.then(() => this.#tellAll());
    return this.#telling;
  }

  async #tellAll(): Promise<void> {
    if (this.#indexed === undefined) return;
    const { state, alarm, runs } = this.#host;
    try {
      for (let part = 0; part < PARTS && this.#indexed.position < runs.head; part++) await this.#tell(this.#indexed);
      this.#failures = 0;
      this.#isDue = this.#indexed.position < runs.head;
      if (this.#isDue) alarm.arm(now(state));
    } catch (error) {
      logFault("index", error, { store: this.#indexed.store });
      alarm.arm(now(state) + alarmDelay(this.#failures++));
    }
  }

  async #tell({ store, position }: Indexed): Promise<void> {
    const begun = this.#host.runs.begunAfter(position, ROWS);
    if (begun.streams.length > 0) await this.#call(store, (index) => index.addToIndex(begun.streams));
    this.#write({ store, position: begun.position });
  }

  #call<T>(store: string, call: (index: DurableObjectStub<LogObject>) => Promise<T>): Promise<T> {
    return callObject(() => this.#host.env.LOGS.getByName(indexName(store)), call);
  }

  #write(indexed: Indexed): void {
    this.#indexed = indexed;
    this.#host.state.storage.kv.put(KEY, indexed);
  }
}
