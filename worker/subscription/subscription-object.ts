/**
 * A subscription of one store: reads the log behind its checkpoint and hands the events of its filter to the app's handler.
 *
 *     log ── wake ──► alarm, now ──► read a page ──► handler ──► checkpoint written ──► next page …
 *                        ▲                              │                                  │
 *                        └── when it is time to try again: refused                        enough for one time
 *
 * What is next, the rules of `shared/subscription.ts` and `shared/edge/subscription.ts` say. All work is done by the alarm, which the
 * platform runs again where it was killed: so whoever woke the subscription has nothing more to see to. The handler of the alarm never
 * throws for a handler's sake, since the platform gives up an alarm that threw six times; one that was killed counts as a refusal, so
 * that an event which kills is given up as one that is refused. A log that is not the one that was followed stops the subscription.
 */
import { DurableObject } from "cloudflare:workers";
import { backoff } from "../../shared/backoff.ts";
import { EVERYTHING } from "../../shared/edge/grants.ts";
import {
  afterBatch,
  afterFailure,
  afterKill,
  afterOtherLog,
  afterResume,
  afterSkipped,
  deadLettersKeptUpTo,
  hasMore,
  isWorthWriting,
  type LogPlace,
  movedTo,
  readBehind,
  readUpTo,
  settled,
  stateOf,
  subscriptionAt,
  waitsUntil,
  wakeTime,
} from "../../shared/edge/subscription.ts";
import { InvalidRequestError, LogMismatchError, PositionAheadError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import {
  beginningOf,
  type DeadLetter,
  HandlerError,
  messageOfFailure,
  nextStep,
  type SubscriptionPolicy,
  type SubscriptionStatus,
  type SubscriptionStep,
  sizeOfBatch,
} from "../../shared/subscription.ts";
import { type FeedPage, parseFeedPage, type SubscriptionDetail } from "../../shared/wire/wire.ts";
import type { EdgeEnv } from "../env.ts";
import type { CompleteQuery } from "../log/feed-page.ts";
import type { Origin } from "../log/notifier.ts";
import { callObject } from "../objects/calls.ts";
import { type Refused, toRefused, unwrap } from "../objects/refused.ts";
import { SharedAlarm } from "../objects/shared-alarm.ts";
import { logFault } from "../report/journal.ts";
import type { CompleteSubscription, Subscriptions } from "./settings.ts";
import { type SubscriptionRecord, SubscriptionStorage } from "./subscription-record.ts";

/** What one alarm does at most; the next one has the platform's limits for itself. Milliseconds are looked at between two batches. */
const WORK_BATCHES = 20;
const WORK_TIME = 30_000;
/** While the log can't be reached. */
const LOG_BACKOFF = { first: 1_000, longest: 300_000 };
const KILLED = "The handler was ended before it answered: it takes too long, or too much memory.";

export class SubscriptionObject<E extends EdgeEnv = EdgeEnv> extends DurableObject<E> {
  readonly #stored: SubscriptionStorage;
  readonly #alarm: SharedAlarm;
  /** Nothing of the filter stands between the checkpoint and here. */
  #skipped: LogPlace | undefined;
  /** The furthest head that was told since the log was last asked. */
  #heard = 0;
  #isRunning = false;
  /** How often in a row the log could not be reached. */
  #failures = 0;

  constructor(state: DurableObjectState, env: E) {
    super(state, env);
    this.#stored = new SubscriptionStorage(state.storage);
    this.#alarm = new SharedAlarm(state.storage);
    state.blockConcurrencyWhile(() => this.#alarm.load());
  }

  /** @internal Those of the edge that this belongs to; `createEdge` makes a class that has its own. */
  protected settings(): Subscriptions<E> {
    return new Map();
  }

  /** @internal The log has grown. Once this is answered, the subscription sees to it by itself. */
  async wake(origin: Origin): Promise<void> {
    const record = this.#begin(origin);
    this.#heard = Math.max(this.#heard, origin.head);
    if (this.#isRunning) return;
    const at = wakeTime(record, this.#readUpTo(record), origin, Date.now());
    if (at !== null) this.#alarm.arm(at);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    this.#alarm.wentOff();
    const record = this.#stored.now;
    if (record === undefined) return;
    const { store, name } = record;
    const subscription = this.settings().get(name);
    if (subscription === undefined) {
      logFault("subscription", new Error("It is not configured any more; it waits where it is."), { store, name });
      return;
    }
    this.#isRunning = true;
    try {
      // Where it was the handler of a replay, what stands behind the checkpoint has nothing to do with it.
      if (info?.isRetry && !this.#stored.isReplaying()) this.#onKilled(record, subscription);
      await this.#work(subscription);
      this.#failures = 0;
    } catch (error) {
      logFault("subscription", error, { store, name });
      this.#failures++;
      this.#alarm.arm(Date.now() + backoff(LOG_BACKOFF, this.#failures, Math.random()));
    } finally {
      this.#isRunning = false;
    }
  }

  /** @internal */
  async status(origin: Origin): Promise<SubscriptionStatus> {
    const record = this.#begin(origin);
    const isIdle = !this.#isRunning && !record.progress.isStopped && this.#alarm.at === null;
    if (isIdle) await this.#look(record).catch((error: unknown) => logFault("subscription", error, { name: origin.name }));
    return this.#statusOf(origin);
  }

  /** @internal With a page of what was set aside, in the order of its positions. */
  async detail(origin: Origin, after: number, limit: number): Promise<SubscriptionDetail> {
    const subscription = await this.status(origin);
    const events = this.#stored.list(after, limit + 1);
    const hasMore = events.length > limit;
    if (hasMore) events.pop();
    return { subscription, deadLetters: events, next: hasMore ? (events.at(-1)?.position ?? null) : null };
  }

  /** @internal Has it go on where it stopped, or at once where it waits. */
  async resume(origin: Origin): Promise<SubscriptionStatus> {
    const record = this.#begin(origin);
    this.#stored.write(afterResume(record));
    this.#alarm.arm(Date.now());
    return this.#statusOf(origin);
  }

  /** @internal Has it follow the log that is there now, from behind a position. */
  async reset(origin: Origin, position: number): Promise<SubscriptionStatus | Refused> {
    const { log, head } = origin;
    if (position > head) return toRefused(new PositionAheadError(undefined, { log, head }));
    const record = this.#begin(origin);
    this.#skipped = undefined;
    this.#stored.reset(movedTo(record, log, position), deadLettersKeptUpTo(record, log, position));
    this.#alarm.arm(Date.now());
    return this.#statusOf(origin);
  }

  /** @internal Has the handler try events again that were set aside: one, or all. */
  async replay(origin: Origin, position: number | undefined): Promise<SubscriptionStatus | Refused> {
    this.#begin(origin);
    if (this.#stored.replay(position) === 0 && position !== undefined) {
      return toRefused(new InvalidRequestError("No event at this position is set aside.", { field: "position" }));
    }
    this.#alarm.arm(Date.now());
    return this.#statusOf(origin);
  }

  #begin(origin: Origin): SubscriptionRecord {
    const known = this.#stored.now;
    if (known !== undefined) return known;
    const { store, name, log } = origin;
    const subscription = this.settings().get(name);
    if (subscription === undefined) throw new Error("The SubscriptionObject that is bound is not the one of this edge.");
    const record = { ...subscriptionAt(log, beginningOf(subscription.from, origin)), store, name, deadLetters: 0 };
    this.#stored.write(record);
    return record;
  }

  #statusOf({ name, head }: Origin): SubscriptionStatus {
    const record = this.#stored.now;
    if (record === undefined) throw new Error("a subscription that was asked has begun");
    const { progress, retryAt, error, deadLetters } = record;
    const { position } = this.#readUpTo(record);
    return {
      name,
      position,
      head,
      lag: Math.max(0, head - position),
      state: stateOf(record),
      attempts: progress.failures,
      retryAt: retryAt === null ? null : new Date(retryAt).toISOString(),
      error,
      deadLetters,
    };
  }

  #readUpTo(record: SubscriptionRecord): LogPlace {
    return readUpTo(record, this.#skipped);
  }

  async #work(subscription: CompleteSubscription<E>): Promise<void> {
    const began = Date.now();
    let left = WORK_BATCHES;
    const isEnough = () => left-- <= 0 || Date.now() - began > WORK_TIME;
    for (let due = this.#stored.due(); due !== undefined; due = this.#stored.due()) {
      if (isEnough()) return this.#alarm.arm(Date.now());
      if (due.wasHanded) this.#stored.tried(due.event, KILLED, new Date().toISOString());
      else await this.#replay(due.event, subscription);
    }
    for (let record = this.#stored.now; record !== undefined && !record.progress.isStopped; record = this.#stored.now) {
      const wait = waitsUntil(record, Date.now());
      if (wait !== null) return this.#alarm.arm(wait);
      if (isEnough()) return this.#alarm.arm(Date.now());
      if (!(await this.#advance(record, subscription))) return;
    }
  }

  /** @returns whether there may be more */
  async #advance(record: SubscriptionRecord, subscription: CompleteSubscription<E>): Promise<boolean> {
    this.#heard = 0;
    const page = await this.#read(record, subscription, sizeOfBatch(record.progress, subscription.policy));
    // Somebody has put it elsewhere meanwhile.
    if (this.#stored.now !== record) return true;
    if (page instanceof Error) {
      this.#stored.write(afterOtherLog(record, messageOfFailure(page)));
      logFault("subscription", page, { store: record.store, name: record.name });
      return false;
    }
    if (page.events.length === 0) this.#pass(record, page);
    else await this.#handOver(record, page, subscription);
    return hasMore(this.#readUpTo(this.#stored.now), page.head, this.#heard);
  }

  /** A page behind what was looked at; the error where the log is not the one that was followed. */
  async #read(
    record: SubscriptionRecord,
    { filter }: CompleteSubscription<E>,
    limit: number,
  ): Promise<FeedPage | LogMismatchError | PositionAheadError> {
    const query = { ...filter, limit, ...readBehind(record, this.#readUpTo(record)) };
    try {
      return await this.#readLog(record.store, query);
    } catch (error) {
      if (error instanceof LogMismatchError || error instanceof PositionAheadError) return error;
      throw error;
    }
  }

  async #readLog(store: string, query: CompleteQuery): Promise<FeedPage> {
    const { page } = await callObject(
      () => this.env.LOGS.getByName(store),
      async (log) => unwrap(await log.readPage(query, EVERYTHING)),
    );
    return parseFeedPage(JSON.parse(page));
  }

  #pass(record: SubscriptionRecord, page: FeedPage): void {
    this.#skipped = { position: page.position, mark: page.mark ?? null };
    if (isWorthWriting(record, page.position)) this.#stored.write(afterSkipped(record, this.#skipped));
  }

  async #handOver(record: SubscriptionRecord, page: FeedPage, subscription: CompleteSubscription<E>): Promise<void> {
    const { policy } = subscription;
    const { events } = page;
    const batch = { count: events.length, upTo: page.position };
    const step = nextStep(record.progress, policy, batch);
    if (step.kind !== "hand-over") return this.#settle(step, record, page, policy);
    const refusal = await this.#call(record, events, subscription, { failures: record.progress.failures, isReplay: false });
    if (this.#stored.now !== record) return;
    if (refusal === null) return this.#stored.write(afterBatch(record, batch, page.mark ?? null));
    const refused = afterFailure(record, batch, refusal);
    this.#settle(nextStep(refused.progress, policy, batch), refused, page, policy);
  }

  /** What becomes of events that were refused. */
  #settle(step: SubscriptionStep, record: SubscriptionRecord, page: FeedPage, policy: SubscriptionPolicy): void {
    const { store, name } = record;
    const next = settled(record, step, policy, { mark: page.mark ?? null, now: Date.now(), random: Math.random() });
    if (step.kind === "stop") logFault("subscription", new Error("It has stopped: its handler keeps refusing an event."), { store, name });
    if (step.kind !== "dead-letter") return this.#stored.write(next);
    for (const event of page.events) {
      logFault("subscription", new Error("An event was set aside: its handler keeps refusing it."), { store, name, id: event.id });
      this.#stored.addDeadLetter(toDeadLetter(event, record.error), next);
    }
  }

  /** Null where it handled them, else why not. */
  async #call(
    { store, name }: SubscriptionRecord,
    events: readonly ConfirmedEvent[],
    { handle, timeout }: CompleteSubscription<E>,
    told: { readonly failures: number; readonly isReplay: boolean },
  ): Promise<string | null> {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new HandlerError(`The handler did not answer within ${timeout} milliseconds.`);
        controller.abort(error);
        reject(error);
      }, timeout);
    });
    const work = async () => handle(events, this.env, { store, subscription: name, signal: controller.signal, ...told });
    try {
      await Promise.race([work(), late]);
      return null;
    } catch (error) {
      logFault("handler", error, { store, name, position: events[0]?.position });
      return messageOfFailure(error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #replay(event: DeadLetter, subscription: CompleteSubscription<E>): Promise<void> {
    const record = this.#stored.now;
    if (record === undefined) return;
    const error = await this.#tryAgain(record, event, subscription);
    // It may have left the list meanwhile, and will come again by itself.
    if (this.#stored.list(event.position - 1, 1)[0]?.id !== event.id) return;
    this.#stored.tried(event, error, new Date().toISOString());
  }

  async #tryAgain(record: SubscriptionRecord, event: DeadLetter, subscription: CompleteSubscription<E>): Promise<string | null> {
    const { id, position } = event;
    let page: FeedPage;
    try {
      page = await this.#readLog(record.store, { after: position - 1, limit: 1, log: record.log });
    } catch (error) {
      if (error instanceof LogMismatchError || error instanceof PositionAheadError) return messageOfFailure(error);
      throw error;
    }
    if (page.events[0]?.id !== id) return "The log does not have this event any more.";
    this.#stored.handing(event);
    return this.#call(record, page.events, subscription, { failures: 0, isReplay: true });
  }

  /** What came of it is not known. */
  #onKilled(record: SubscriptionRecord, { policy }: CompleteSubscription<E>): void {
    const next = afterKill(record, policy, KILLED, Date.now(), Math.random());
    if (next !== record) this.#stored.write(next);
  }

  /** Moves on past what does not match, so that the status tells what there is to do: after a wake it is not known any more. */
  async #look(record: SubscriptionRecord): Promise<void> {
    const subscription = this.settings().get(record.name);
    for (let left = WORK_BATCHES; left > 0 && subscription !== undefined; left--) {
      const page = await this.#read(record, subscription, 1);
      if (this.#isRunning || this.#stored.now !== record) return;
      if (page instanceof Error || page.events.length > 0) return this.#alarm.arm(Date.now());
      this.#skipped = { position: page.position, mark: page.mark ?? null };
      if (page.position >= page.head) return;
    }
  }
}

function toDeadLetter({ id, streamId, version, position, type }: ConfirmedEvent, error: string | null): DeadLetter {
  return { id, streamId, version, position, type, error: error ?? KILLED, at: new Date().toISOString() };
}
