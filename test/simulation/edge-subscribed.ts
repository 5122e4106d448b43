/**
 * A store's subscription at the edge: its object with its alarm, the log's side of it, and its operator. All of it draws its own random
 * numbers, so that a world runs as it would without it. Faults of the log happen to the log's side of the subscription too.
 */

import type { LogEnd } from "../../shared/edge/subscription.ts";
import { START_MARK } from "../../shared/mark.ts";
import type { SubscriptionPolicy } from "../../shared/subscription.ts";
import { ObjectAlarm } from "./edge-alarm.ts";
import { Handler } from "./edge-handler.ts";
import type { LogData, LogInstance } from "./edge-log.ts";
import { ObjectHost } from "./edge-objects.ts";
import { Subscribers } from "./edge-subscribers.ts";
import { type Read, type SubscriptionData, SubscriptionInstance } from "./edge-subscription.ts";
import type { Ground } from "./ground.ts";
import { OF_SUBSCRIPTION } from "./models/ledger.ts";

export interface SubscribedParts {
  readonly ground: Ground;
  readonly store: string;
  readonly policy: SubscriptionPolicy;
  /** The log as it is stored. */
  readonly log: () => Pick<LogData, "id" | "events" | "marks">;
  /** The log's object, as it wakes. */
  readonly wakeLog: () => LogInstance;
}

interface LogSide {
  readonly log: LogInstance;
  readonly subscribers: Subscribers;
}

export class Subscribed {
  readonly #parts: SubscribedParts;
  readonly #data: SubscriptionData = { standing: undefined, list: new Map(), due: new Map() };
  readonly #subscription: ObjectHost<SubscriptionInstance>;
  readonly #alarm: ObjectAlarm<SubscriptionInstance>;
  readonly #log: ObjectHost<LogSide>;
  readonly #logAlarm: ObjectAlarm<LogSide>;

  constructor(parts: SubscribedParts) {
    this.#parts = parts;
    const { ground } = parts;
    const handler = new Handler(ground);
    this.#subscription = new ObjectHost(ground, (isCurrent) => this.#wake(handler, isCurrent));
    this.#log = new ObjectHost(ground, (isCurrent) => this.#wakeLog(isCurrent));
    this.#alarm = new ObjectAlarm<SubscriptionInstance>({
      ground,
      host: () => this.#subscription,
      run: (subscription, isRetry, done) => subscription.alarm(isRetry, done),
    });
    this.#logAlarm = new ObjectAlarm<LogSide>({
      ground,
      host: () => this.#log,
      run: ({ subscribers }, _, done) => subscribers.onAlarm(done),
    });
  }

  #wake(handler: Handler, isCurrent: () => boolean): SubscriptionInstance {
    const { ground, store, policy, log } = this.#parts;
    return new SubscriptionInstance({
      ground,
      store,
      policy,
      data: this.#data,
      handler,
      read: (query, reply) =>
        this.#log.call<Read>((side, answer) => answer({ value: { page: side.log.read(query), events: log().events } }), reply),
      arm: (at) => this.#alarm.arm(at),
      hasAlarm: () => this.#alarm.isSet,
      kill: () => this.#subscription.crash(),
      isCurrent,
    });
  }

  #wakeLog(isCurrent: () => boolean): LogSide {
    const subscribers = new Subscribers({
      ground: this.#parts.ground,
      end: () => this.#end(),
      subscription: () => this.#subscription,
      arm: (at) => this.#logAlarm.arm(at),
      isCurrent,
    });
    return { log: this.#parts.wakeLog(), subscribers };
  }

  #end(): LogEnd {
    const { id, events, marks } = this.#parts.log();
    return { log: id, head: events.at(-1)?.position ?? 0, mark: marks.at(-1) ?? START_MARK };
  }

  /** The log has grown, in this turn. */
  published(): void {
    this.#log.instance().subscribers.published();
  }

  logCrashed(): void {
    this.#log.crash();
  }

  setLogOutOfReach(isOut: boolean): void {
    this.#log.isOutOfReach = isOut;
  }

  /** @param isCopy whether an older copy was put there, with the alarm that it may have had */
  logReplaced(isCopy: boolean): void {
    this.#logAlarm.clear();
    if (isCopy) this.#logAlarm.arm(this.#parts.ground.scheduler.now);
  }

  deploy(): void {
    this.#subscription.crash();
  }

  start(): void {
    const { faults, random, scheduler, params } = this.#parts.ground;
    faults.recur("evict", () => {
      this.#subscription.crash();
      return true;
    });
    // Some look after it all the time, some hardly ever.
    const pace = params.minutes * 60_000 * random.spread(0.03, 3);
    const care = () =>
      scheduler.after(random.wait(pace), () => {
        if (faults.isOver) return;
        this.#care();
        care();
      });
    care();
  }

  /** Whoever looks after it now and then does something, needed or not. */
  #care(): void {
    const { random } = this.#parts.ground;
    if (this.#data.standing?.progress.isStopped === true) return this.#putRight();
    switch (random.pick(["replay", "replay", "replay", "look", "look", "resume", "reset", "nothing", "nothing", "nothing"])) {
      case "replay":
        return this.#ask((subscription, end) => subscription.replay(end));
      case "look":
        return this.#ask((subscription, end) => subscription.look(end));
      case "resume":
        return this.#ask((subscription, end) => subscription.resume(end));
      case "reset":
        return this.#reset();
      default:
    }
  }

  /** After the healing: what has stopped goes on, and what was set aside is tried again. */
  tend(): void {
    if (this.#data.standing?.progress.isStopped === true) return this.#putRight();
    if (this.#mustLook()) this.#ask((subscription, end) => subscription.look(end));
    if (this.#isTriable()) this.#ask((subscription, end) => subscription.replay(end));
  }

  #putRight(): void {
    const { standing } = this.#data;
    const isOther = standing?.error === "log-mismatch" || standing?.error === "position-ahead";
    if (isOther) this.#reset();
    else this.#ask((subscription, end) => subscription.resume(end));
  }

  #reset(): void {
    const { random } = this.#parts.ground;
    this.#ask((subscription, end) => subscription.reset(end, random.chance(0.5) ? 0 : random.between(0, end.head)));
  }

  /** The log is asked first, as in `worker/routes/subscription-routes.ts`. */
  #ask(work: (subscription: SubscriptionInstance, end: LogEnd) => void): void {
    this.#log.call<LogEnd>(
      (_, answer) => answer({ value: this.#end() }),
      (answer) => {
        if ("error" in answer) return;
        this.#subscription.call<null>(
          (subscription, reply) => {
            work(subscription, answer.value);
            reply({ value: null });
          },
          () => undefined,
        );
      },
    );
  }

  /** The list of subscriptions shows that something is wrong, or an alarm is known to be lost. */
  #mustLook(): boolean {
    const { standing } = this.#data;
    const { log, head } = this.#end();
    if (standing === undefined || head === 0) return false;
    return this.#alarm.wasLost || this.#logAlarm.wasLost || standing.log !== log || standing.progress.checkpoint > head;
  }

  /** Whether the log has something that is set aside. */
  #isTriable(): boolean {
    const { events } = this.#parts.log();
    return !this.#isAtWork() && [...this.#data.list.values()].some(({ id, position }) => events[position - 1]?.id === id);
  }

  #isAtWork(): boolean {
    return this.#alarm.isSet || this.#subscription.instance().isRunning;
  }

  unsettled(): readonly string[] {
    const { id, events } = this.#parts.log();
    const last = events.findLast(({ streamId }) => OF_SUBSCRIPTION.stream(streamId))?.position ?? 0;
    const { standing } = this.#data;
    if (last === 0 && (events.length === 0 || standing === undefined)) return [];
    if (standing === undefined) return ["has not begun"];
    const { checkpoint, isStopped } = standing.progress;
    const { head } = this.#end();
    const left: string[] = [];
    if (standing.log !== id) left.push(`follows ${standing.log} and not ${id}`);
    if (isStopped) left.push(`has stopped at #${checkpoint}: ${standing.error}`);
    if (checkpoint > head) left.push(`is at #${checkpoint}, beyond #${head}`);
    if (checkpoint < last) left.push(`is at #${checkpoint} of #${last}`);
    if (this.#isTriable()) left.push(`has ${this.#data.list.size} events set aside`);
    return left;
  }

  /** Its status, beside the log. */
  show(): void {
    const { standing, list } = this.#data;
    if (standing === undefined) return;
    const { ground, store, policy, log } = this.#parts;
    const { checkpoint: position, isStopped } = standing.progress;
    const deadLetters = [...list.values()].map(({ id }) => id);
    const { events } = log();
    const { onFailure } = policy;
    ground.observe({ kind: "edge-subscription", store, position, isStopped, retryAt: standing.retryAt, deadLetters, onFailure, events });
  }
}
