/** A subscription of one store at the edge, as `worker/subscription/subscription-object.ts` implements it: its alarm does all work. */
import { backoff } from "../../shared/backoff.ts";
import { type EdgeSubscription, type LogEnd, type LogPlace, readUpTo, subscriptionAt } from "../../shared/edge/subscription.ts";
import { LogMismatchError, PositionAheadError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { beginningOf, type SubscriptionPolicy } from "../../shared/subscription.ts";
import type { FeedPage, FeedQuery } from "../../shared/wire/wire.ts";
import type { Reply } from "./answers.ts";
import type { Handler } from "./edge-handler.ts";
import { type Ground, timeAt } from "./ground.ts";
import { SUBSCRIBED } from "./models/ledger.ts";

export interface DeadLetter {
  readonly id: string;
  readonly position: number;
  readonly error: string;
  readonly at: string;
}

/** What it has stored. */
export interface SubscriptionData {
  standing: EdgeSubscription | undefined;
  /** What was set aside, by position. */
  readonly list: Map<number, DeadLetter>;
  /** Positions that are to be tried again, and whether the handler has them. */
  readonly due: Map<number, "wanted" | "handed-over">;
}

/** A page of the log, and the log that it was read from. */
export interface Read {
  readonly page: FeedPage;
  readonly events: readonly ConfirmedEvent[];
}

/** What came of asking the log: a page, or why it is not the one that was followed; undefined where it can't be reached. */
type Asked = Read | { readonly page: LogMismatchError | PositionAheadError; readonly events: readonly [] } | undefined;

export interface SubscriptionParts {
  readonly ground: Ground;
  readonly store: string;
  readonly policy: SubscriptionPolicy;
  readonly data: SubscriptionData;
  readonly handler: Handler;
  readonly read: (query: FeedQuery, reply: Reply<Read>) => void;
  readonly arm: (at: number) => void;
  readonly hasAlarm: () => boolean;
  /** The platform ends it, in the middle of whatever it does. */
  readonly kill: () => void;
  readonly isCurrent: () => boolean;
}

/** As in `worker/subscription/subscription-object.ts`; fewer batches, since worlds are small. */
const WORK_BATCHES = 5;
const WORK_TIME = 30_000;
const LOG_BACKOFF = { first: 1_000, longest: 300_000 };

export class SubscriptionInstance {
  readonly #parts: SubscriptionParts;
  #skipped: LogPlace | undefined;
  #heard = 0;
  #isRunning = false;
  #failures = 0;
  #left = 0;
  #began = 0;
  #done: () => void = () => undefined;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  wake(end: LogEnd): void {
    const standing = this.#begin(end);
    this.#heard = Math.max(this.#heard, end.head);
    if (this.#isRunning) return;
    const at = this.#rules().wakeTime(standing, this.#readUpTo(standing), end, this.#now());
    if (at !== null) this.#parts.arm(at);
  }

  alarm(isRetry: boolean, done: () => void): void {
    const { standing } = this.#parts.data;
    if (standing === undefined) return done();
    this.#isRunning = true;
    this.#left = WORK_BATCHES;
    this.#began = this.#now();
    this.#done = done;
    this.#parts.ground.observe({ kind: "edge-alarm", store: this.#parts.store, isRetry });
    if (isRetry && !this.#rules().isReplaying([...this.#parts.data.due.values()])) {
      this.#parts.ground.count("edge subscriptions that were killed");
      const next = this.#rules().afterKill(standing, this.#parts.policy, "killed", this.#now(), this.#parts.ground.random.next());
      if (next !== standing) this.#write(next);
    }
    this.#replays();
  }

  /** What a status that is asked for sets off: nothing may have told it that there is something to do. */
  look(end: LogEnd): void {
    const standing = this.#begin(end);
    if (this.#isRunning || standing.progress.isStopped || this.#parts.hasAlarm()) return;
    this.#read(standing, 1, (read) => {
      if (this.#isRunning || this.#parts.data.standing !== standing || read === undefined) return;
      if (read.page instanceof Error || read.page.events.length > 0) return this.#parts.arm(this.#now());
      this.#skipped = { position: read.page.position, mark: read.page.mark ?? null };
      if (read.page.position < read.page.head) this.look(end);
    });
  }

  resume(end: LogEnd): void {
    const standing = this.#rules().afterResume(this.#begin(end));
    this.#ask("resume", standing.progress.checkpoint);
    this.#write(standing);
    this.#parts.arm(this.#now());
  }

  reset(end: LogEnd, position: number): void {
    if (position > end.head) return;
    const standing = this.#begin(end);
    const { data } = this.#parts;
    this.#skipped = undefined;
    const kept = this.#rules().deadLettersKeptUpTo(standing, end.log, position);
    for (const at of [...data.list.keys()]) {
      if (at <= kept) continue;
      data.list.delete(at);
      data.due.delete(at);
    }
    this.#ask("reset", position);
    this.#write(this.#rules().movedTo(standing, end.log, position));
    this.#parts.arm(this.#now());
  }

  replay(end: LogEnd): void {
    this.#begin(end);
    const { data } = this.#parts;
    for (const position of data.list.keys()) if (!data.due.has(position)) data.due.set(position, "wanted");
    this.#parts.arm(this.#now());
  }

  #begin({ log, head }: LogEnd): EdgeSubscription {
    const { data } = this.#parts;
    if (data.standing !== undefined) return data.standing;
    const standing = subscriptionAt(log, beginningOf("beginning", { since: 0, head }));
    this.#write(standing);
    return standing;
  }

  #readUpTo(standing: EdgeSubscription): LogPlace {
    return readUpTo(standing, this.#skipped);
  }

  #replays(): void {
    const { data } = this.#parts;
    const event = [...data.list.values()].find(({ position }) => data.due.has(position));
    if (event === undefined) return this.#advances();
    if (this.#isEnough()) return this.#restAt(this.#now());
    if (this.#rules().isReplaying([data.due.get(event.position)])) {
      this.#tried(event, "killed");
      return this.#replays();
    }
    this.#tryAgain(event, (error) => {
      // It may have left the list meanwhile, and will come again by itself.
      if (data.list.get(event.position)?.id === event.id) this.#tried(event, error);
      this.#replays();
    });
  }

  #tried(event: DeadLetter, error: string | null): void {
    const { data } = this.#parts;
    data.due.delete(event.position);
    const listed = this.#rules().afterReplay(event, error, timeAt(this.#now()));
    if (listed === null) data.list.delete(event.position);
    else data.list.set(event.position, listed);
    this.#show();
  }

  #tryAgain({ id, position }: DeadLetter, done: (error: string | null) => void): void {
    const { standing } = this.#parts.data;
    if (standing === undefined) return;
    this.#readLog({ after: position - 1, limit: 1, log: standing.log }, (read) => {
      if (read === undefined) return this.#fail();
      if (read.page instanceof Error) return done(read.page.code);
      if (read.page.events[0]?.id !== id) return done("not there any more");
      this.#parts.data.due.set(position, "handed-over");
      this.#call(read.page.events, read.events, true, done);
    });
  }

  #advances(): void {
    const { standing } = this.#parts.data;
    if (standing === undefined || standing.progress.isStopped) return this.#rest();
    const wait = this.#rules().waitsUntil(standing, this.#now());
    if (wait !== null) return this.#restAt(wait);
    if (this.#isEnough()) return this.#restAt(this.#now());
    this.#advance(standing);
  }

  #advance(standing: EdgeSubscription): void {
    this.#heard = 0;
    this.#read(standing, this.#rules().sizeOfBatch(standing.progress, this.#parts.policy), (read) => {
      if (read === undefined) return this.#fail();
      // Somebody has put it elsewhere meanwhile.
      if (this.#parts.data.standing !== standing) return this.#advances();
      const { page, events } = read;
      if (page instanceof Error) {
        this.#parts.ground.count("edge subscriptions stopped by another log");
        this.#write(this.#rules().afterOtherLog(standing, page.code));
        return this.#rest();
      }
      const goOn = () => {
        const { standing: now } = this.#parts.data;
        if (now !== undefined && this.#rules().hasMore(this.#readUpTo(now), page.head, this.#heard)) return this.#advances();
        this.#rest();
      };
      if (page.events.length > 0) return this.#handOver(standing, page, events, goOn);
      this.#skipped = { position: page.position, mark: page.mark ?? null };
      if (this.#rules().isWorthWriting(standing, page.position)) this.#write(this.#rules().afterSkipped(standing, this.#skipped), events);
      goOn();
    });
  }

  #handOver(standing: EdgeSubscription, page: FeedPage, events: readonly ConfirmedEvent[], goOn: () => void): void {
    const { policy, ground, data } = this.#parts;
    const { rules } = ground;
    const mark = page.mark ?? null;
    const batch = { count: page.events.length, upTo: page.position };
    const settle = (refused: EdgeSubscription) => {
      const step = rules.nextStep(refused.progress, policy, batch);
      const next = rules.settled(refused, step, policy, { mark, now: this.#now(), random: ground.random.next() });
      if (step.kind === "dead-letter") {
        for (const { id, position } of page.events) {
          data.list.set(position, { id, position, error: refused.error ?? "killed", at: timeAt(this.#now()) });
        }
      }
      if (step.kind !== "hand-over") ground.count(`edge subscriptions: ${step.kind}`);
      this.#write(next, events);
      goOn();
    };
    if (rules.nextStep(standing.progress, policy, batch).kind !== "hand-over") return settle(standing);
    const handled = rules.afterBatch(standing, batch, mark);
    const isFirst = rules.edgeHandlesFirst();
    if (!isFirst) this.#write(handled, events);
    this.#call(page.events, events, false, (refusal) => {
      if (data.standing !== standing) return goOn();
      if (refusal !== null) return settle(rules.afterFailure(standing, batch, refusal));
      this.#write(handled, events);
      goOn();
    });
  }

  /** Null where it handled them, else why not. */
  #call(
    handed: readonly ConfirmedEvent[],
    events: readonly ConfirmedEvent[],
    isReplay: boolean,
    done: (refusal: string | null) => void,
  ): void {
    const { ground, store, handler, kill } = this.#parts;
    const { end, takes } = handler.call(handed);
    ground.count(`batches ${end} at the edge`);
    if (handed.length > 1) ground.count("batches of several events at the edge");
    ground.observe({ kind: "edge-handed", store, handed, isReplay, events });
    const ids = handed.map(({ id }) => id).join(" ");
    ground.tell(() => `${store} subscription: ${isReplay ? "replays" : "hands over"} ${ids}, ${end} in ${Math.round(takes)}`);
    this.#later(takes, () => {
      if (end === "killed") return kill();
      ground.observe({ kind: "edge-answered", store, isHandled: end === "handled" });
      done(end === "handled" ? null : "refused");
    });
  }

  /** A page behind what was looked at. */
  #read(standing: EdgeSubscription, limit: number, done: (read: Asked) => void): void {
    this.#readLog({ within: SUBSCRIBED, limit, ...this.#rules().readBehind(standing, this.#readUpTo(standing)) }, done);
  }

  #readLog(query: FeedQuery, done: (read: Asked) => void): void {
    this.#parts.read(query, (answer) => {
      if (!this.#parts.isCurrent()) return;
      if ("value" in answer) return done(answer.value);
      const { error } = answer;
      if (error instanceof LogMismatchError || error instanceof PositionAheadError) return done({ page: error, events: [] });
      done(undefined);
    });
  }

  #fail(): void {
    this.#failures++;
    this.#isRunning = false;
    this.#parts.arm(this.#now() + backoff(LOG_BACKOFF, this.#failures, this.#parts.ground.random.next()));
    this.#done();
  }

  #restAt(at: number): void {
    this.#parts.arm(at);
    this.#rest();
  }

  #rest(): void {
    this.#failures = 0;
    this.#isRunning = false;
    this.#done();
  }

  #isEnough(): boolean {
    return this.#left-- <= 0 || this.#now() - this.#began > WORK_TIME;
  }

  /** @param events of the log that it was read from */
  #write(standing: EdgeSubscription, events?: readonly ConfirmedEvent[]): void {
    this.#parts.data.standing = standing;
    this.#show(events);
  }

  /** What its status tells from now on. */
  #show(events?: readonly ConfirmedEvent[]): void {
    const { ground, store, data, policy } = this.#parts;
    if (data.standing === undefined) return;
    const { progress, retryAt } = data.standing;
    ground.observe({
      kind: "edge-subscription",
      store,
      position: progress.checkpoint,
      isStopped: progress.isStopped,
      retryAt,
      deadLetters: [...data.list.values()].map(({ id }) => id),
      onFailure: policy.onFailure,
      events,
    });
    ground.tell(() => `${store} subscription: #${progress.checkpoint} ${JSON.stringify({ ...progress, retryAt })}`);
  }

  #ask(what: "resume" | "reset", position: number): void {
    const { ground, store } = this.#parts;
    ground.count(`edge subscriptions: ${what}`);
    ground.tell(() => `${store} subscription: ${what} at #${position}`);
    ground.observe({ kind: "edge-asked", store, what, position });
  }

  #later(milliseconds: number, work: () => void): void {
    this.#parts.ground.scheduler.after(milliseconds, () => {
      if (this.#parts.isCurrent()) work();
    });
  }

  #now(): number {
    return this.#parts.ground.scheduler.now;
  }

  #rules() {
    return this.#parts.ground.rules;
  }
}
