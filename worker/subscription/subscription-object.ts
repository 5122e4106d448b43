/**
 * The Durable Object of one subscription of one store. It reads the log after its checkpoint and hands the events of its filter to the
 * app's handler.
 *
 *     log ── wake ──► alarm, now ──► read a page ──► handler ──► checkpoint written ──► next page …
 *                        ▲                              │                                  │
 *                        └──────── after a wait ────── failed                    enough for one alarm
 *
 * The rules of `shared/subscription.ts` and `shared/edge/subscription.ts` decide what is next. The alarm does all work, and the platform
 * runs it again if it was killed. So the log has nothing more to do after it woke the subscription. The alarm does not throw if the app's
 * handler fails, because the platform gives up an alarm that threw six times. If an alarm is killed, this counts as a failure of the
 * handler. So an event on which the handler is killed becomes a dead letter, or stops the subscription, like one on which it throws. A log
 * that is not the one that the subscription followed, or that is damaged at the next position, stops it.
 */
import { assert } from "../../shared/assert.ts";
import { backoff } from "../../shared/backoff.ts";
import { EVERYTHING } from "../../shared/edge/grants.ts";
import {
  afterBatch,
  afterFailure,
  afterKill,
  afterRestore,
  afterResume,
  afterSkipped,
  afterUnreadableLog,
  beforeHandOver,
  deadLettersKeptUpTo,
  hasMore,
  isUnreadableLog,
  isWorthWriting,
  type LogPlace,
  movedTo,
  readBehind,
  readUpTo,
  settled,
  stateOf,
  subscriptionAt,
  type UnreadableLog,
  waitsUntil,
  wakeTime,
} from "../../shared/edge/subscription.ts";
import { InvalidRequestError, PositionAheadError, StoreDeletedError } from "../../shared/errors.ts";
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
import { DurableObject, now } from "../objects/platform.ts";
import { type Refused, toRefused, unwrap } from "../objects/refused.ts";
import { SharedAlarm } from "../objects/shared-alarm.ts";
import { logFault } from "../report/journal.ts";
import type { CallContext, CompleteSubscription, Subscriptions } from "./settings.ts";
import { type SubscriptionRecord, SubscriptionStorage, toDeadLetter } from "./subscription-record.ts";

/** The most work of one alarm: the next alarm has the platform's limits for itself. Milliseconds are checked between two batches. */
const WORK_BATCHES = 20;
const WORK_TIME = 30_000;
/** Events of a page in which the event of a dead letter is searched. */
const STREAM_EVENTS = 1_000;
/** Waits while the log can't be reached, in milliseconds. */
const LOG_BACKOFF = { first: 1_000, longest: 300_000 };
const KILLED = "The handler was killed before it finished: it takes too long or uses too much memory.";
const WRONG_OBJECT =
  "SUBSCRIPTIONS is bound to another SubscriptionObject: bind the class that createEdge returned together with these subscriptions.";

export class SubscriptionObject<E extends EdgeEnv = EdgeEnv> extends DurableObject<E> {
  readonly #stored: SubscriptionStorage;
  readonly #alarm: SharedAlarm;
  /** The place up to which no event after the checkpoint matches the filter. Only in memory. */
  #skipped: LogPlace | undefined;
  /** The furthest head of which the log has notified since its last page was requested. */
  #heard = 0;
  #isRunning = false;
  /** How often in a row the log could not be reached. */
  #failures = 0;

  constructor(state: DurableObjectState, env: E) {
    super(state, env);
    this.#stored = new SubscriptionStorage(state.storage);
    this.#alarm = new SharedAlarm(state.storage);
    state.blockConcurrencyWhile(() => this.#alarm.load(now(state)));
  }

  /** @internal The subscriptions of the edge that this object belongs to. `createEdge` makes a class that returns its own. */
  protected settings(): Subscriptions<E> {
    return new Map();
  }

  /** @internal The log calls this when it has grown. When this call has returned, the subscription continues by its own alarm. */
  async wake(origin: Origin): Promise<void> {
    const record = this.#begin(origin);
    this.#heard = Math.max(this.#heard, origin.head);
    if (this.#isRunning) return;
    const at = wakeTime(record, this.#readUpTo(record), origin, now(this.ctx));
    if (at !== null) this.#alarm.arm(at);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    this.#alarm.wentOff();
    const record = this.#stored.now;
    if (record === undefined) return;
    const { store, name } = record;
    const subscription = this.settings().get(name);
    if (subscription === undefined) {
      logFault("subscription", new Error("The subscription is no longer configured. It keeps its checkpoint and does nothing."), {
        store,
        name,
      });
      return;
    }
    this.#isRunning = true;
    try {
      // If the kill happened in a replay, it is not a failure of the events after the checkpoint.
      if (info?.isRetry && !this.#stored.isReplaying()) this.#onKilled(record, subscription);
      await this.#work(subscription);
      this.#failures = 0;
    } catch (error) {
      if (error instanceof StoreDeletedError) return await this.erase(); // the log may have woken it after that
      logFault("subscription", error, { store, name });
      this.#failures++;
      this.#alarm.arm(now(this.ctx) + backoff(LOG_BACKOFF, this.#failures, Math.random()));
    } finally {
      this.#isRunning = false;
    }
  }

  /** @internal The store is deleted: everything goes. It may be called again. */
  async erase(): Promise<void> {
    await this.#stored.erase(this.#alarm);
  }

  /** @internal */
  async status(origin: Origin): Promise<SubscriptionStatus> {
    const record = this.#begin(origin);
    const isIdle = !this.#isRunning && !record.progress.isStopped && this.#alarm.at === null;
    if (isIdle) await this.#look(record).catch((error: unknown) => logFault("subscription", error, { name: origin.name }));
    return this.#statusOf(origin);
  }

  /** @internal The status with some of the dead letters, in the order of their positions. */
  async detail(origin: Origin, after: number, limit: number): Promise<SubscriptionDetail> {
    const subscription = await this.status(origin);
    const events = this.#stored.list(after, limit + 1);
    const hasMore = events.length > limit;
    if (hasMore) events.pop();
    return { subscription, deadLetters: events, next: hasMore ? (events.at(-1)?.position ?? null) : null };
  }

  /** @internal Continues a subscription that has stopped. One that waits continues at once. */
  async resume(origin: Origin): Promise<SubscriptionStatus> {
    const record = this.#begin(origin);
    this.#stored.write(afterResume(record));
    this.#alarm.arm(now(this.ctx));
    return this.#statusOf(origin);
  }

  /** @internal Restarts the subscription in the current log, after a position. */
  async reset(origin: Origin, position: number): Promise<SubscriptionStatus | Refused> {
    const { log, head } = origin;
    if (position > head) return toRefused(new PositionAheadError(undefined, { log, head }));
    const record = this.#begin(origin);
    this.#skipped = undefined;
    this.#stored.reset(movedTo(record, log, position), deadLettersKeptUpTo(record, log, position));
    this.#alarm.arm(now(this.ctx));
    return this.#statusOf(origin);
  }

  /** @internal Hands dead letters to the handler again: the one at a position, or all. */
  async replay(origin: Origin, position: number | undefined): Promise<SubscriptionStatus | Refused> {
    this.#begin(origin);
    if (this.#stored.replay(position) === 0 && position !== undefined) {
      return toRefused(new InvalidRequestError("There is no dead letter at this position.", { field: "position" }));
    }
    this.#alarm.arm(now(this.ctx));
    return this.#statusOf(origin);
  }

  #begin(origin: Origin): SubscriptionRecord {
    const known = this.#stored.now;
    const record = afterRestore(known ?? this.#first(origin), origin.log, origin.restoredUpTo ?? 0);
    if (record !== known) this.#stored.write(record);
    return record;
  }

  #first(origin: Origin): SubscriptionRecord {
    const { store, name, log } = origin;
    const subscription = this.settings().get(name);
    if (subscription === undefined) throw new Error(WRONG_OBJECT);
    return { ...subscriptionAt(log, beginningOf(subscription.from, origin)), store, name, deadLetters: 0 };
  }

  #statusOf({ name, head }: Origin): SubscriptionStatus {
    const record = this.#stored.now;
    assert(record !== undefined, "a subscription has begun before its status is read");
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
    const began = now(this.ctx);
    let left = WORK_BATCHES;
    const isEnough = () => left-- <= 0 || now(this.ctx) - began > WORK_TIME;
    for (let due = this.#stored.due(); due !== undefined; due = this.#stored.due()) {
      if (isEnough()) return this.#alarm.arm(now(this.ctx));
      if (due.wasHanded) this.#stored.recordReplay(due.event, KILLED, new Date(now(this.ctx)).toISOString());
      else await this.#replay(due.event, subscription);
    }
    for (let record = this.#stored.now; record !== undefined && !record.progress.isStopped; record = this.#stored.now) {
      const wait = waitsUntil(record, now(this.ctx));
      if (wait !== null) return this.#alarm.arm(wait);
      if (isEnough()) return this.#alarm.arm(now(this.ctx));
      if (!(await this.#advance(record, subscription))) return;
    }
  }

  /** @returns whether there may be more */
  async #advance(record: SubscriptionRecord, subscription: CompleteSubscription<E>): Promise<boolean> {
    this.#heard = 0;
    const page = await this.#read(record, subscription, sizeOfBatch(record.progress, subscription.policy));
    // An operator has reset or resumed it meanwhile.
    if (this.#stored.now !== record) return true;
    if (page instanceof Error) {
      this.#stop(record, page);
      return false;
    }
    if (page.events.length === 0) this.#pass(record, page);
    else await this.#handOver(record, page, subscription);
    return this.#stored.now !== undefined && hasMore(this.#readUpTo(this.#stored.now), page.head, this.#heard);
  }

  #stop(record: SubscriptionRecord, error: UnreadableLog): void {
    this.#stored.write(afterUnreadableLog(record, this.#readUpTo(record), error));
    logFault("subscription", error, { store: record.store, name: record.name });
  }

  /** The next page after what was read. The error, if the log can't be followed any more. */
  async #read(record: SubscriptionRecord, { filter }: CompleteSubscription<E>, limit: number): Promise<FeedPage | UnreadableLog> {
    const query = { ...filter, limit, ...readBehind(record, this.#readUpTo(record)) };
    try {
      return await this.#readLog(record.store, query);
    } catch (error) {
      if (isUnreadableLog(error)) return error;
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
    const handed = beforeHandOver(record, batch);
    if (handed !== record) await this.#stored.writeThrough(handed);
    if (this.#stored.now !== handed) return;
    const failure = await this.#call(handed, events, subscription, { failures: handed.progress.failures, isReplay: false });
    if (this.#stored.now !== handed) return;
    if (failure === null) return this.#stored.write(afterBatch(handed, batch, page.mark ?? null));
    const failed = afterFailure(handed, batch, failure);
    this.#settle(nextStep(failed.progress, policy, batch), failed, page, policy);
  }

  /** Writes and logs what happens to events that the handler failed on. */
  #settle(step: SubscriptionStep, record: SubscriptionRecord, page: FeedPage, policy: SubscriptionPolicy): void {
    const { store, name } = record;
    const next = settled(record, step, policy, { mark: page.mark ?? null, now: now(this.ctx), random: Math.random() });
    if (step.kind === "stop") {
      logFault("subscription", new Error("The subscription has stopped, because its handler keeps failing on an event."), { store, name });
    }
    if (step.kind !== "dead-letter") return this.#stored.write(next);
    for (const event of page.events) {
      const error = new Error("An event has become a dead letter, because the handler keeps failing on it.");
      logFault("subscription", error, { store, name, id: event.id });
      this.#stored.addDeadLetter(toDeadLetter(event, record.error ?? KILLED, now(this.ctx)), next);
    }
  }

  /** Calls the handler. @returns why it failed on the events; null if it handled them */
  async #call(
    { store, name }: SubscriptionRecord,
    events: readonly ConfirmedEvent[],
    { handle, timeout }: CompleteSubscription<E>,
    context: Pick<CallContext, "failures" | "isReplay">,
  ): Promise<string | null> {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new HandlerError(`The handler did not finish within ${timeout} milliseconds.`);
        controller.abort(error);
        reject(error);
      }, timeout);
    });
    const work = async () => handle(events, this.env, { store, subscription: name, signal: controller.signal, ...context });
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
    // A reset may have removed it from the list meanwhile. Then the subscription delivers it again.
    if (this.#stored.list(event.position - 1, 1)[0]?.id !== event.id) return;
    this.#stored.recordReplay(event, error, new Date(now(this.ctx)).toISOString());
  }

  async #tryAgain(record: SubscriptionRecord, event: DeadLetter, subscription: CompleteSubscription<E>): Promise<string | null> {
    let found: ConfirmedEvent | undefined;
    try {
      found = await this.#find(record, event);
    } catch (error) {
      if (isUnreadableLog(error)) return messageOfFailure(error);
      throw error;
    }
    if (found === undefined) return "The log no longer has this event.";
    await this.#stored.markHandedOver(event);
    return this.#call(record, [found], subscription, { failures: 0, isReplay: true });
  }

  /** The event of a dead letter: at its position, or, if the log was replaced since, at its version of its stream. */
  async #find({ store, log }: SubscriptionRecord, { id, position, streamId, version }: DeadLetter): Promise<ConfirmedEvent | undefined> {
    const { head, events } = await this.#readLog(store, { after: position - 1, limit: 1, log });
    if (events[0]?.id === id) return events[0];
    for (let after = 0; after < head; ) {
      const page = await this.#readLog(store, { after, limit: STREAM_EVENTS, log, stream: streamId });
      const found = page.events.find((event) => event.version === version);
      if (found !== undefined) return found.id === id ? found : undefined;
      after = page.position;
    }
    return undefined;
  }

  /** The alarm before this one was killed: it is not known what the handler did. */
  #onKilled(record: SubscriptionRecord, { policy }: CompleteSubscription<E>): void {
    const next = afterKill(record, policy, KILLED, now(this.ctx), Math.random());
    if (next !== record) this.#stored.write(next);
  }

  /** Skips events that do not match, so that the status shows the real lag: after the object was evicted, memory has no skipped place. */
  async #look(record: SubscriptionRecord): Promise<void> {
    const subscription = this.settings().get(record.name);
    for (let left = WORK_BATCHES; left > 0 && subscription !== undefined; left--) {
      const page = await this.#read(record, subscription, 1);
      if (this.#isRunning || this.#stored.now !== record) return;
      // The caller learns it at once: with nothing to do, the subscription seems to be in order.
      if (page instanceof Error) return this.#stop(record, page);
      if (page.events.length > 0) return this.#alarm.arm(now(this.ctx));
      this.#skipped = { position: page.position, mark: page.mark ?? null };
      if (page.position >= page.head) return;
    }
  }
}
