/**
 * The index of streams (`StreamIndex`) as the log uses it: it tells the index which streams are new.
 *
 *     publish, restore ── a stream begins ──► alarm, within a minute ──► rows since the last time ──► the index ──► "indexed"
 *
 *     "indexed"   the store, the position up to which the index knows the log's streams, and whether there may be more
 *
 * Telling it again is always safe. A log that was put back, and one whose rows came back, tell it of everything again.
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
  readonly isDue: boolean;
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
  /** Streams have begun while the index was told. */
  #isOvertaken = false;
  #failures = 0;
  #telling: Promise<void> = Promise.resolve();

  constructor(host: IndexingHost) {
    this.#host = host;
    this.#indexed = host.state.storage.kv.get<Indexed>(KEY);
  }

  /** To be called once the alarm is loaded. @param store undefined if the object does not know it */
  woke(store = this.#indexed?.store): void {
    const { alarm, runs, state } = this.#host;
    if (store === undefined) return;
    // A version that had no index has left none of it, and storage may have lost the log's end.
    if (this.#indexed === undefined ? runs.head > 0 : this.#indexed.position > runs.head) this.restart(store);
    // An alarm may be lost.
    else if (this.#indexed?.isDue && alarm.at === null) alarm.arm(now(state));
  }

  /** To be called in the turn of the write by which streams begin, so that the alarm is part of it. */
  begun(store: string): void {
    const { alarm, state } = this.#host;
    if (!this.#indexed?.isDue) this.#write({ store, position: this.#indexed?.position ?? 0, isDue: true });
    this.#isOvertaken = true;
    alarm.arm(now(state) + WITHIN);
  }

  /** Tells the index of all streams again: it, or rows of the log, may have been lost and come back. */
  restart(store: string): void {
    this.#write({ store, position: 0, isDue: true });
    this.begun(store);
  }

  /** The streams of the index after one. */
  async list(store: string, after: string, limit: number): Promise<IndexedStreams> {
    // What is on its way is part of it.
    await this.#telling;
    return this.#call(store, (index) => index.listIndex(after, limit));
  }

  /** Removes streams that were deleted, and the index with the last of them. @returns whether others are left */
  async remove(store: string, streamIds: readonly string[]): Promise<boolean> {
    await this.#telling;
    return this.#call(store, (index) => index.removeFromIndex(streamIds));
  }

  /** Does not reject: the platform gives up an alarm that threw six times. */
  onAlarm(): Promise<void> {
    if (this.#indexed?.isDue) this.#telling = this.#telling.then(() => this.#tellAll());
    return this.#telling;
  }

  /** What begins meanwhile has an alarm of its own. */
  async #tellAll(): Promise<void> {
    const { state, alarm, runs } = this.#host;
    const upTo = runs.head;
    this.#isOvertaken = false;
    try {
      let isBehind = true;
      for (let part = 0; part < PARTS && isBehind; part++) isBehind = await this.#tell(upTo);
      this.#failures = 0;
      if (isBehind) alarm.arm(now(state));
    } catch (error) {
      logFault("index", error, { store: this.#indexed?.store });
      alarm.arm(now(state) + alarmDelay(this.#failures++));
    }
  }

  /** @returns whether the index does not know all streams up to a position */
  async #tell(upTo: number): Promise<boolean> {
    if (this.#indexed === undefined) return false;
    const told = this.#indexed;
    const { store, position } = told;
    const begun = this.#host.runs.begunAfter(position, ROWS);
    if (begun.streams.length > 0) await this.#call(store, (index) => index.addToIndex(begun.streams));
    // It was told to begin again meanwhile.
    if (this.#indexed !== told) return true;
    const isBehind = begun.position < upTo;
    this.#write({ store, position: begun.position, isDue: isBehind || this.#isOvertaken });
    return isBehind;
  }

  #call<T>(store: string, call: (index: DurableObjectStub<LogObject>) => Promise<T>): Promise<T> {
    return callObject(() => this.#host.env.LOGS.getByName(indexName(store)), call);
  }

  #write(indexed: Indexed): void {
    this.#indexed = indexed;
    this.#host.state.storage.kv.put(KEY, indexed);
  }
}
