/**
 * The index of streams (`StreamIndex`) as the log uses it: it tells the index which streams are new, and how far the log has reached.
 *
 *     publish, restore ── the log grows ──► alarm, within a minute ──► rows since the last time ──► the index ──► its end ──► "indexed"
 *                                               health ──┘                                            └── remembers another one: compared
 *
 *     "indexed"   the store, the position up to which the index knows the log's streams, how many these are, and the end that it was told
 *
 * Telling it again is always safe. A log that was put back, and one whose rows came back, tell it of everything again.
 */
import { isSameEnd, lostHistory } from "../../shared/edge/lost-history.ts";
import type { LogEnd } from "../../shared/edge/subscription.ts";
import { StorageDamagedError, UnavailableError } from "../../shared/errors.ts";
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
  /** The log's end that the index remembers; null or undefined if it was told none. */
  readonly end?: LogEnd | null;
  /** How many streams have begun up to a position. An earlier version leaves it as it is while it moves `position`, or leaves it out. */
  readonly begun?: { readonly position: number; readonly streams: number };
}

const NONE_BEGUN = { position: 0, streams: 0 };

const KEY = "indexed";
/** So many milliseconds after the log has grown, at most, the index is told: once for all that came meanwhile. */
const WITHIN = 60_000;
/** Rows of a part, and parts of an alarm, at most. */
const ROWS = 1_000;
const PARTS = 10;

export class StreamIndexing {
  readonly #host: IndexingHost;
  #indexed: Indexed | undefined;
  /** What of it is stored. */
  #stored: Indexed | undefined;
  /** What the log once had and has lost; undefined until it was compared with what the index remembers. */
  #lost: LogEnd | null | undefined;
  #failures = 0;
  #telling: Promise<void> = Promise.resolve();

  constructor(host: IndexingHost) {
    this.#host = host;
    this.#stored = this.#indexed = host.state.storage.kv.get<Indexed>(KEY);
  }

  /** What the log once had and has lost, as far as it and the index remember it; undefined if that can't be known, or was not asked yet. */
  get lost(): LogEnd | null | undefined {
    return this.#lost;
  }

  /** To be called once the alarm is loaded. @param store undefined if the object does not know it */
  woke(store = this.#indexed?.store): void {
    const { alarm, runs, state } = this.#host;
    if (store === undefined) return;
    // A version that had no index, or did not count, has left none of it, and storage may have lost the log's end.
    if (this.#indexed === undefined ? runs.head > 0 : this.#indexed.position > runs.head || !this.#isCounted) this.restart(store);
    // An alarm may be lost.
    else if (this.#isBehind && alarm.at === null) alarm.arm(now(state));
  }

  /** To be called in the turn of the write by which the log grows, so that the alarm is part of it. */
  grown(store: string): void {
    const { alarm, state } = this.#host;
    if (this.#indexed === undefined) this.#write({ store, position: 0, begun: NONE_BEGUN });
    alarm.arm(now(state) + WITHIN);
  }

  /** Tells the index of all streams again: it, or rows of the log, may have been lost and come back. */
  restart(store: string): void {
    this.#write({ store, position: 0, end: this.#indexed?.end ?? null, begun: NONE_BEGUN });
    this.grown(store);
  }

  /** How many streams the log has. Those that began since the index was told last are counted; if these are many, all are. */
  countStreams(): number {
    const { runs } = this.#host;
    const { position, streams } = this.#indexed?.begun ?? NONE_BEGUN;
    const since = runs.begunAfter(position, ROWS);
    return this.#isCounted && since.position === runs.head ? streams + since.streams.length : runs.countStreams();
  }

  get #isCounted(): boolean {
    return this.#indexed?.begun?.position === this.#indexed?.position;
  }

  get #isBehind(): boolean {
    return this.#indexed !== undefined && this.#indexed.position < this.#host.runs.head;
  }

  /** Tells the index all that it does not know, and compares what it remembers. It does not reject: `lost` is undefined then. */
  settle(store: string): Promise<void> {
    if (this.#isBehind || this.#lost === undefined) this.#telling = this.#telling.then(() => this.#tellAll(store));
    return this.#telling;
  }

  /** The log as it is counts from now on, whatever the index remembers. @throws if the index can't be reached */
  accept(store: string): Promise<void> {
    const accepted = this.#telling.then(() => this.#accept(store));
    this.#telling = accepted.catch(() => undefined); // the caller gets it
    return accepted;
  }

  async #accept(store: string): Promise<void> {
    const before = await this.#call(store, (index) => index.rememberedEnd());
    if (!(await this.#remember(store, before)))
      throw new UnavailableError("The index of streams did not take the end of the log: try again.");
    this.#lost = null;
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
    return this.#indexed === undefined ? this.#telling : this.settle(this.#indexed.store);
  }

  /** What comes meanwhile has an alarm of its own. */
  async #tellAll(store: string): Promise<void> {
    const { state, alarm, runs } = this.#host;
    const upTo = runs.head;
    try {
      let isBehind = this.#isBehind;
      for (let part = 0; part < PARTS && isBehind; part++) isBehind = await this.#tell(upTo);
      if (isBehind) alarm.arm(now(state));
      await (isBehind ? this.#look(store) : this.#compare(store));
      // Once for all of it.
      if (this.#indexed !== undefined && this.#indexed !== this.#stored) this.#write(this.#indexed);
      this.#failures = 0;
    } catch (error) {
      logFault("index", error, { store });
      this.#lost = undefined;
      // It is told again what is not noted.
      this.#indexed = this.#stored;
      if (this.#isBehind) alarm.arm(now(state) + alarmDelay(this.#failures++));
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
    const streams = (told.begun?.streams ?? 0) + begun.streams.length;
    this.#indexed = { ...told, position: begun.position, begun: { position: begun.position, streams } };
    return begun.position < upTo;
  }

  /** The index is told the log's end, unless it or the log itself remembers a history that the log has lost. */
  async #compare(store: string): Promise<void> {
    const told = this.#indexed?.end ?? null;
    // An empty log has no end to be remembered.
    const isGrown = this.#lostOf(told) === null && this.#host.runs.head > 0;
    if (isGrown && (await this.#remember(store, told))) return this.#found(store, null);
    const remembered = await this.#look(store);
    if (told !== null && (remembered?.head ?? 0) < told.head) return this.#onIndexLost(store, told, remembered);
    if (isGrown && this.#lost === null) await this.#remember(store, remembered);
  }

  /** Compares the log with what it and the index remember. @returns what the index does */
  async #look(store: string): Promise<LogEnd | null> {
    const remembered = await this.#call(store, (index) => index.rememberedEnd());
    const [own, other] = [this.#lostOf(this.#indexed?.end ?? null), this.#lostOf(remembered)];
    this.#found(store, own ?? (other === null ? own : other));
    return remembered;
  }

  #lostOf(end: LogEnd | null): LogEnd | null | undefined {
    return lostHistory(end, this.#host.runs.head, (position) => this.#markAt(position));
  }

  /** @returns whether the index remembers the log's end now, and not another one than `before` */
  async #remember(store: string, before: LogEnd | null): Promise<boolean> {
    const { runs } = this.#host;
    const end: LogEnd = { log: runs.log, head: runs.head, mark: runs.mark };
    const isTaken = await this.#call(store, (index) => index.rememberEnd(end, before));
    if (isTaken && !isSameEnd(this.#indexed?.end ?? null, end))
      this.#write({ position: 0, begun: NONE_BEGUN, ...this.#indexed, store, end });
    return isTaken;
  }

  #markAt(position: number): string | undefined {
    try {
      return this.#host.runs.markAt(position);
    } catch (error) {
      if (error instanceof StorageDamagedError) return undefined; // readers are told
      throw error;
    }
  }

  /** @param lost undefined if it can't be known */
  #found(store: string, lost: LogEnd | null | undefined): void {
    if (lost && lost.head !== this.#lost?.head) {
      const error = new Error(
        "The log does not have the history any more that it once had: it has lost its end, was put back, or deleted.",
      );
      logFault("log-put-back", error, { store, position: lost.head });
    }
    this.#lost = lost;
  }

  async #onIndexLost(store: string, told: LogEnd, remembered: LogEnd | null): Promise<void> {
    logFault("index", new Error("The index of streams was lost or put back. It is told of all streams again."), { store });
    await this.#call(store, (index) => index.rememberEnd(told, remembered));
    this.#write({ store, position: 0, end: told, begun: NONE_BEGUN });
    this.#host.alarm.arm(now(this.#host.state));
  }

  #call<T>(store: string, call: (index: DurableObjectStub<LogObject>) => Promise<T>): Promise<T> {
    return callObject(() => this.#host.env.LOGS.getByName(indexName(store)), call);
  }

  #write(indexed: Indexed): void {
    this.#stored = this.#indexed = indexed;
    this.#host.state.storage.kv.put(KEY, indexed);
  }
}
