/**
 * A subscription on the device: it calls an app's handler with the events of a filter, one at a time, in one tab of the device at a time.
 *
 *     elected ──► read what is due ──► handler ──► checkpoint written ──► the next … nothing due ──► waits for a change
 *                                        └── fails: retried after a wait, at last a dead letter or stopped (`shared/subscription.ts`)
 *
 * If the device's scope gets wider, the events that it added are handed over before the feed continues. Each such part has a checkpoint of
 * its own. Another history stops the subscription, because its positions mean other events there.
 */
import { assert } from "../../shared/assert.ts";
import type { Replica } from "../../shared/device/replica.ts";
import {
  afterHandOver,
  afterLook,
  afterReplay,
  begun,
  continuedIn,
  type DeviceSubscription,
  type Due,
  dueOf,
  type Resumption,
  resumptionIn,
  stoppedByOtherHistory,
  unlessOvertaken,
} from "../../shared/device/subscription.ts";
import { HeadwaterError } from "../../shared/errors.ts";
import { type Cause, correlationOf } from "../../shared/event/causation.ts";
import { toReference } from "../../shared/event/commit.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { type FeedFilter, readerFilter } from "../../shared/feed-filter.ts";
import { isObject } from "../../shared/json.ts";
import { NO_EVENTS, withEvent } from "../../shared/mark.ts";
import * as option from "../../shared/options.ts";
import { type Beginning, beginning, messageOfFailure, POLICY_OPTIONS, type SubscriptionPolicy } from "../../shared/subscription.ts";
import type { ReadAllOptions } from "../event-store.ts";
import type { StoreInternals } from "../internals.ts";
import { EVERY_EVENT, followed, stretches } from "../storage/confirmed.ts";
import { confirmedEvents, type ReadTx, readReplica } from "../storage/device-log.ts";
import { whileElected } from "../tools/elected.ts";
import { momentOf } from "../tools/moment.ts";
import { pause } from "../tools/pause.ts";
import { rerunOnChange } from "../tools/rerun-on-change.ts";
import { uncaught } from "../tools/uncaught.ts";
import { LookAhead } from "./look-ahead.ts";
import { changeSubscription, lockOf, RecordChannel, readSubscription } from "./record.ts";

export interface SubscribeOptions
  extends Pick<ReadAllOptions, "category" | "stream" | "type">,
    Partial<Omit<SubscriptionPolicy, "batchSize">> {
  /**
   * The checkpoint is stored under this name, and one tab at a time calls the handler. Without a name the subscription belongs to this tab,
   * and begins again each time.
   */
  readonly name?: string;
  /** Only events of this correlation. Default: all. */
  readonly correlation?: string;
  /**
   * Where it begins the first time. Default: `beginning` with a name, `now` without one. A number is the position before the first event. A
   * time is the time of recording of the first event, ISO 8601 with a zone.
   */
  readonly from?: Beginning | { readonly time: string };
  /**
   * Called for each failure of the handler, with the event; the subscription continues by its policy. Called without an event if the
   * subscription can't begin, with the reason. If the browser denies its Web Lock, that is tried again.
   */
  readonly onError?: (error: unknown, event?: ConfirmedEvent) => void;
}

const { batchSize: _, ...POLICY } = POLICY_OPTIONS;

export const SUBSCRIBE_OPTIONS = {
  name: option.text,
  category: option.texts,
  stream: option.texts,
  type: option.texts,
  correlation: option.text,
  from: {
    what: `${beginning.what}, or { time }`,
    accepts: (value) => beginning.accepts(value) || (isObject(value) && "time" in value),
  },
  onError: option.callback,
  ...POLICY,
} satisfies option.OptionsOf<SubscribeOptions>;

type Compare = Resumption & { kind: "compare" };

export type Handler = (event: ConfirmedEvent) => void | Promise<void>;

export class Subscriber {
  readonly #internals: StoreInternals;
  readonly #handler: Handler;
  readonly #options: SubscribeOptions;
  readonly #now: number;
  readonly #policy: SubscriptionPolicy;
  readonly #filter: FeedFilter;
  readonly #ahead: LookAhead;
  readonly #ended = new AbortController();
  /** The record of a subscription without a name. */
  #own: DeviceSubscription | undefined;
  /** Defined while this tab is elected. */
  #channel: RecordChannel | undefined;
  /** Aborted if the store or the record has changed since the current step began. */
  #woken = new AbortController();

  /** @param now the device's position when `subscribe` was called: a subscription from `now` begins after it */
  constructor(internals: StoreInternals, handler: Handler, options: SubscribeOptions, now: number) {
    this.#internals = internals;
    this.#now = now;
    this.#handler = handler;
    this.#options = options;
    const complete = option.completeOptions(options, SUBSCRIBE_OPTIONS);
    const { category, stream, type, correlation, name, from, onError, ...policy } = complete;
    if (typeof from === "object") momentOf(from.time, "from.time");
    this.#policy = { ...policy, batchSize: 1 };
    const filter = readerFilter({ category, stream, type });
    const wanted = correlation === undefined ? undefined : toReference(correlation);
    const isOfCorrelation = (event: Cause) => wanted === undefined || correlationOf(event) === wanted;
    this.#filter = { stream: filter.stream, content: (event) => (filter.content?.(event) ?? true) && isOfCorrelation(event) };
    this.#ahead = new LookAhead(internals.database, this.#filter);
    internals.ending.addEventListener("abort", () => this.#ended.abort(), { signal: this.#ended.signal });
    this.#ended.signal.addEventListener("abort", () => this.#woken.abort());
    void this.#run();
  }

  end(): void {
    this.#ended.abort();
  }

  async #run(): Promise<void> {
    const { name } = this.#options;
    const ending = this.#ended.signal;
    const lock = name === undefined ? undefined : lockOf(this.#internals, name);
    const begin = () => {
      let channel: RecordChannel | undefined;
      const watch = (listener: () => void) => {
        const heard = () => {
          listener();
          this.#woken.abort();
        };
        if (name !== undefined) channel = new RecordChannel(this.#internals, name, heard);
        this.#channel = channel;
        return this.#internals.watch(heard);
      };
      const end = rerunOnChange({ watch, ending }, (isWanted) => this.#work(isWanted));
      return () => {
        end();
        this.#channel = undefined;
        channel?.close();
      };
    };
    const { onError } = this.#options;
    await whileElected(lock, ending, begin, (denied) => {
      if (denied === undefined) return;
      uncaught(() => {
        if (onError === undefined) throw denied;
        onError(denied);
      });
    });
  }

  /** Works until nothing is due. If the storage fails, it retries at the next change, or after the first wait of the policy. */
  async #work(isWanted: () => boolean): Promise<void> {
    while (isWanted()) {
      const isMore = await this.#next().catch(async (error: unknown) => {
        if (!isWanted()) return false;
        if (!(error instanceof HeadwaterError)) throw error;
        await this.#wait(this.#policy.backoff.first);
        return true;
      });
      if (!isMore) return;
    }
  }

  /** @returns whether something else may be due */
  async #next(): Promise<boolean> {
    this.#woken = new AbortController();
    const replica = await this.#internals.database.run(readReplica);
    const subscription = await this.#current(replica);
    if (subscription === undefined) return false;
    const due = dueOf(subscription, replica, Date.now(), this.#policy);
    switch (due.kind) {
      case "nothing":
        return false;
      case "wait":
        await this.#wait(due.milliseconds);
        return true;
      case "replay":
        return this.#replay(subscription, due);
      case "look":
        return this.#look(subscription, due, replica);
      default:
        return due satisfies never;
    }
  }

  /** A change of the store ends the wait early. Then the next step finds that time is left, and waits for the rest. */
  async #wait(milliseconds: number): Promise<void> {
    await pause(milliseconds, this.#woken.signal);
  }

  async #look(subscription: DeviceSubscription, due: Due & { kind: "look" }, replica: Replica): Promise<boolean> {
    const found = await this.#ahead.first(replica, due);
    const step = afterLook(subscription, found, Date.now(), this.#policy);
    if (step.kind === "nothing") return false;
    if (step.kind === "write") {
      await this.#write(step.subscription);
      return true;
    }
    const { event } = found;
    assert(event !== undefined, "an event to hand over was found");
    const failure = await this.#handOver(event);
    // If the subscription was ended meanwhile, the handler may have failed because of that: this failure does not count.
    if (failure !== null && this.#ended.signal.aborted) return false;
    const at = { now: Date.now(), random: Math.random() };
    await this.#write(afterHandOver(subscription, event, failure, at, this.#policy));
    return true;
  }

  /** Hands a dead letter over again. */
  async #replay(subscription: DeviceSubscription, { id, streamId }: Due & { kind: "replay" }): Promise<boolean> {
    const event = streamId === undefined ? undefined : await this.#confirmed(id, streamId);
    const failure = event === undefined ? "The device no longer holds this event." : await this.#handOver(event);
    if (failure !== null && this.#ended.signal.aborted) return false;
    await this.#change((now = subscription) => afterReplay(now, id, failure));
    return true;
  }

  async #confirmed(id: string, streamId: string): Promise<ConfirmedEvent | undefined> {
    return this.#internals.database.run(async (db) => {
      const tx: ReadTx = db.transaction(["events"], "readonly");
      return (await confirmedEvents(tx, streamId, 1)).find((event) => event.id === id);
    });
  }

  /** @returns why the handler failed on the event; null if it handled it */
  async #handOver(event: ConfirmedEvent): Promise<string | null> {
    try {
      await this.#handler(this.#internals.read(event));
      return null;
    } catch (error) {
      uncaught(() => this.#options.onError?.(error, event));
      return messageOfFailure(error);
    }
  }

  /** The record as it is now, or the first one. Undefined if the subscription has to wait until the device has fetched, or has to stop. */
  async #current(replica: Replica): Promise<DeviceSubscription | undefined> {
    const { name } = this.#options;
    const stored = name === undefined ? this.#own : await this.#internals.database.run((db) => readSubscription(db, name));
    const resumption = resumptionIn(stored, replica);
    switch (resumption.kind) {
      case "begins":
        return this.#write(begun(replica, await this.#beginning(replica)));
      case "continues":
        return resumption.subscription;
      case "fetching":
        return undefined;
      case "compare":
        return this.#inOtherCopy(resumption, replica);
      default:
        return resumption satisfies never;
    }
  }

  async #beginning(replica: Replica): Promise<Beginning> {
    const { name, from = name === undefined ? "now" : "beginning" } = this.#options;
    if (from === "now") return this.#now;
    return typeof from === "object" ? this.#positionBefore(from.time, replica) : from;
  }

  async #inOtherCopy({ subscription: stored, ...range }: Compare, replica: Replica): Promise<DeviceSubscription | undefined> {
    let held = NO_EVENTS;
    for await (const events of stretches(this.#internals.database, replica, range, followed(this.#filter, stored)))
      for (const { id } of events) held = withEvent(held, id);
    const continued = continuedIn(stored, replica, held);
    if (continued !== undefined) return this.#write(continued);
    // A subscription without a name has no control with which it could be reset: it continues after its position.
    if (this.#options.name === undefined) {
      this.#own = begun(replica, range.upTo);
      return this.#own;
    }
    const stopped = stoppedByOtherHistory(stored);
    if (stopped !== stored) await this.#write(stopped);
    return undefined;
  }

  /** The position before the first event that was recorded at this time or later. */
  async #positionBefore(time: string, replica: Replica): Promise<number> {
    const first = momentOf(time, "from.time");
    for await (const events of stretches(this.#internals.database, replica, { after: 0 }, EVERY_EVENT)) {
      const found = events.find(({ recordedAt }) => Date.parse(recordedAt) >= first);
      if (found !== undefined) return found.position - 1;
    }
    return replica.position;
  }

  async #write(subscription: DeviceSubscription): Promise<DeviceSubscription> {
    return this.#change((now) => unlessOvertaken(subscription, now));
  }

  async #change(change: (now: DeviceSubscription | undefined) => DeviceSubscription): Promise<DeviceSubscription> {
    const { name } = this.#options;
    if (name !== undefined) {
      const written = await this.#internals.database.run((db) => changeSubscription(db, name, change, "relaxed"));
      // A handler that is at work when the subscription is ended still stores what it has done.
      const channel = this.#channel ?? new RecordChannel(this.#internals, name, () => undefined);
      channel.notify();
      if (channel !== this.#channel) channel.close();
      return written;
    }
    this.#own = change(this.#own);
    return this.#own;
  }
}
