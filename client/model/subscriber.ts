/**
 * A subscription on the device: an app's handler, given one event of a filter after the other, by one tab of the device at a time.
 *
 *     elected ──► read what is due ──► handler ──► checkpoint written ──► the next … nothing due ──► waits for a change
 *                                        └── refuses: after a wait again, in the end set aside or stopped (`shared/subscription.ts`)
 *
 * What the device comes to hold later, because its filter was widened, is handed over before the feed goes on: each such part has a
 * checkpoint of its own. Another history stops a subscription that began on one: its positions mean something else there.
 */
import { type Cause, correlationOf } from "../../shared/causation.ts";
import { isContinued } from "../../shared/continued.ts";
import { HeadwaterError, InvalidRequestError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event.ts";
import { type FeedFilter, readerFilter } from "../../shared/feed-filter.ts";
import { type History, isWithin } from "../../shared/history.ts";
import { NO_EVENTS, withEvent } from "../../shared/mark.ts";
import {
  afterHandled,
  afterPassed,
  afterRefused,
  type Beginning,
  completePolicy,
  nextStep,
  type Progress,
  parseBeginning,
  type SubscriptionPolicy,
  sentenceOfRefusal,
  stopped,
  waitAfter,
  waitLeft,
} from "../../shared/subscription.ts";
import { confirmedEvents, type ReadTx, readHistory } from "../device-log.ts";
import type { ReadAllOptions } from "../event-store.ts";
import { pause } from "../pause.ts";
import { EVERY_EVENT, followed, type Range, type Stretch, stretchAfter, stretches } from "./confirmed.ts";
import { whileElected } from "./elected.ts";
import type { Kit } from "./kit.ts";
import { latest } from "./latest.ts";
import { momentOf } from "./moment.ts";
import {
  askingChannel,
  begun,
  changeFacts,
  continuedIn,
  type Facts,
  feedOf,
  isFetching,
  lockOf,
  type Part,
  partsWithin,
  readFacts,
  type SetAside,
} from "./subscription-facts.ts";

export interface SubscribeOptions
  extends Pick<ReadAllOptions, "category" | "stream" | "type">,
    Partial<Omit<SubscriptionPolicy, "batchSize">> {
  /** Its checkpoint is kept under this name, and one tab at a time handles. Without one it is this tab's, and begins anew each time. */
  readonly name?: string;
  /** Only events of this correlation. */
  readonly correlation?: string;
  /** Where it begins the first time. Default: `beginning` with a name, `now` without. A time is one of recording, ISO 8601. */
  readonly from?: Beginning | { readonly time: string };
  /** Told of each refusal, with the event, and the subscription goes on by its policy; without an event: of why it can't begin. */
  readonly onError?: (error: unknown, event?: ConfirmedEvent) => void;
}

export type Handler = (event: ConfirmedEvent) => void | Promise<void>;

interface Ahead extends Stretch {
  readonly after: number;
  /** The part, and what the device followed. */
  readonly of: string;
}

export class Subscriber {
  readonly #kit: Kit;
  readonly #handler: Handler;
  readonly #options: SubscribeOptions;
  readonly #policy: SubscriptionPolicy;
  readonly #filter: FeedFilter;
  readonly #ended = new AbortController();
  /** Of one without a name. */
  #own: Facts | undefined;
  /** What was read of the log and is not handed over yet. */
  #ahead: Ahead | undefined;

  constructor(kit: Kit, handler: Handler, options: SubscribeOptions) {
    this.#kit = kit;
    this.#handler = handler;
    this.#options = options;
    const { category, stream, type, correlation, name, from, onError, ...policy } = options;
    if (name === "") throw new InvalidRequestError("Name the subscription.", { field: "name" });
    if (typeof from === "object") momentOf(from.time, "from.time");
    else if (from !== undefined) parseBeginning(from, "from");
    this.#policy = { ...completePolicy(policy, "subscribe"), batchSize: 1 };
    const filter = readerFilter({ category, stream, type });
    const isOfCorrelation = (event: Cause) => correlation === undefined || correlationOf(event) === correlation;
    this.#filter = { stream: filter.stream, content: (event) => (filter.content?.(event) ?? true) && isOfCorrelation(event) };
    kit.ending.addEventListener("abort", () => this.#ended.abort(), { signal: this.#ended.signal });
    void this.#run();
  }

  end(): void {
    this.#ended.abort();
  }

  async #run(): Promise<void> {
    const { name } = this.#options;
    const ending = this.#ended.signal;
    await whileElected(name === undefined ? undefined : lockOf(this.#kit, name), ending, () => {
      const channel = name === undefined ? undefined : askingChannel(this.#kit, name);
      const watch = (listener: () => void) => {
        if (channel !== undefined) channel.onmessage = listener;
        return this.#kit.watch(listener);
      };
      const end = latest({ watch, ending }, (isWanted) => this.#work(isWanted));
      return () => {
        end();
        channel?.close();
      };
    });
  }

  /** Until nothing is due. Storage that fails is tried again at the next change, or when the wait is over. */
  async #work(isWanted: () => boolean): Promise<void> {
    while (isWanted()) {
      const isMore = await this.#next().catch(async (error: unknown) => {
        if (!isWanted()) return false;
        if (!(error instanceof HeadwaterError)) throw error;
        await pause(this.#policy.backoff.first, this.#ended.signal);
        return true;
      });
      if (!isMore) return;
    }
  }

  /** @returns whether something else may be due */
  async #next(): Promise<boolean> {
    const history = await this.#kit.database.run(readHistory);
    const facts = await this.#facts(history);
    if (facts === undefined) return false;
    const [replay] = facts.replay;
    if (replay !== undefined) return this.#replay(facts, replay);
    const [part, ...rest] = facts.parts;
    if (part === undefined || part.progress.isStopped) return false;
    const wait = waitLeft(facts.notBefore, Date.now(), this.#policy);
    if (wait > 0) {
      await pause(wait, this.#ended.signal);
      return true;
    }
    const proceed = (progress: Progress, told: Partial<Facts> = {}) =>
      this.#write({ ...facts, ...told, parts: [{ ...part, progress }, ...rest] });
    const { progress } = part;
    const upTo = Math.min(part.upTo ?? history.position, history.position);
    const { event, end } = await this.#due(history, { after: progress.checkpoint, upTo }, part);
    if (event === undefined) {
      const isOver = part.upTo !== null && end >= part.upTo;
      if (!isOver && end === progress.checkpoint) return false;
      if (isOver) await this.#write({ ...facts, parts: rest });
      else await proceed(afterPassed(progress, end));
      return true;
    }
    const batch = { count: 1, upTo: event.position };
    const step = nextStep(progress, this.#policy, batch);
    switch (step.kind) {
      case "hand-over": {
        const refusal = await this.#handOver(event);
        if (refusal === undefined)
          await proceed(afterHandled(progress, batch), { reason: null, dealtWith: withEvent(facts.dealtWith, event.id) });
        else if (this.#ended.signal.aborted) return false;
        else {
          const refused = afterRefused(progress, batch);
          await proceed(refused, { reason: refusal, notBefore: Date.now() + waitAfter(refused, this.#policy, Math.random()) });
        }
        return true;
      }
      case "set-aside":
        await proceed(step.progress, {
          setAside: [...facts.setAside, setAsideOf(event, facts.reason)],
          dealtWith: withEvent(facts.dealtWith, event.id),
        });
        return true;
      case "take-apart":
      case "stop":
        await proceed(step.progress);
        return true;
      default:
        return step satisfies never;
    }
  }

  /** Hands an event that was set aside over again. It stays in the list where it is refused once more. */
  async #replay(facts: Facts, id: string): Promise<boolean> {
    const event = await this.#confirmed(id, facts.setAside.find((item) => item.id === id)?.streamId);
    const refusal = event === undefined ? "The device holds it no more." : await this.#handOver(event);
    if (this.#ended.signal.aborted && refusal !== undefined) return false;
    const setAside = facts.setAside.flatMap((item) =>
      item.id !== id ? [item] : refusal === undefined ? [] : [{ ...item, reason: refusal }],
    );
    await this.#write({ ...facts, setAside, replay: facts.replay.slice(1) });
    return true;
  }

  async #confirmed(id: string, streamId = ""): Promise<ConfirmedEvent | undefined> {
    return this.#kit.database.run(async (db) => {
      const tx: ReadTx = db.transaction(["events"], "readonly");
      return (await confirmedEvents(tx, streamId, 1)).find((event) => event.id === id);
    });
  }

  async #handOver(event: ConfirmedEvent): Promise<string | undefined> {
    try {
      await this.#handler(this.#kit.read(event));
      return undefined;
    } catch (error) {
      this.#options.onError?.(error, event);
      return sentenceOfRefusal(error);
    }
  }

  /** The first event of the filter behind a position; where there is none, how far was looked. */
  async #due(history: History, { after, upTo }: Required<Range>, part: Part): Promise<{ event?: ConfirmedEvent; end: number }> {
    const { within, without } = part;
    const of = JSON.stringify([history.resets, history.scope, within, without]);
    let ahead = this.#ahead;
    if (ahead?.of !== of || after < ahead.after || after >= ahead.end) {
      const isIn = (id: string) => isWithin(within, id) && (without === undefined || !isWithin(without, id));
      const filter = { ...this.#filter, stream: (id: string) => this.#filter.stream(id) && isIn(id) };
      const stretch = await stretchAfter(this.#kit.database, history, { after, upTo }, filter);
      if (stretch === undefined) return { end: after };
      ahead = { ...stretch, after, of };
      this.#ahead = ahead;
    }
    const event = ahead.events.find(({ position }) => position > after && position <= upTo);
    return event === undefined ? { end: Math.min(ahead.end, upTo) } : { event, end: event.position };
  }

  /** As they are now, or as they begin; undefined where it has to wait for what is filled in. */
  async #facts(history: History): Promise<Facts | undefined> {
    const { name, from = name === undefined ? "now" : "beginning" } = this.#options;
    if (history.fills.length > 0) return undefined;
    const kept = name === undefined ? this.#own : await this.#kit.database.run((db) => readFacts(db, name));
    if (kept === undefined) {
      const since = typeof from === "object" ? await this.#positionBefore(from.time, history) : from;
      const facts = begun(history, since);
      await this.#write(facts);
      return facts;
    }
    const facts = isContinued(kept, history) ? kept : await this.#inNewCopy(kept, history);
    return facts && partsWithin(facts, history);
  }

  /** After a reset; undefined where it waits for what is fetched, or has to stop: what is at its positions now it was not given. */
  async #inNewCopy(facts: Facts, history: History): Promise<Facts | undefined> {
    if (isFetching(facts, history)) return undefined;
    const { checkpoint } = feedOf(facts).progress;
    const range = { after: facts.since, upTo: checkpoint };
    let held = NO_EVENTS;
    for await (const events of stretches(this.#kit.database, history, range, followed(this.#filter, facts)))
      for (const { id } of events) held = withEvent(held, id);
    const continued = continuedIn(facts, history, held);
    if (continued !== undefined) {
      await this.#write(continued);
      return continued;
    }
    // Nobody can look after one without a name: it goes on from where it is.
    if (this.#options.name === undefined) return begun(history, checkpoint);
    const [first, ...rest] = facts.parts;
    if (first !== undefined && !first.progress.isStopped) {
      const reason = "The device follows another history; begin anew with reset().";
      await this.#write({ ...facts, reason, parts: [{ ...first, progress: stopped(first.progress) }, ...rest] });
    }
    return undefined;
  }

  /** The position before the first event that was recorded at a time or later. */
  async #positionBefore(time: string, history: History): Promise<number> {
    const first = momentOf(time, "from.time");
    for await (const events of stretches(this.#kit.database, history, { after: 0 }, EVERY_EVENT)) {
      const found = events.find(({ recordedAt }) => Date.parse(recordedAt) >= first);
      if (found !== undefined) return found.position - 1;
    }
    return history.position;
  }

  async #write(facts: Facts): Promise<void> {
    const { name } = this.#options;
    if (name === undefined) this.#own = facts;
    else await this.#kit.database.run((db) => changeFacts(db, name, (now) => merged(facts, now)));
  }
}

function setAsideOf({ id, streamId, version, position }: ConfirmedEvent, reason: string | null): SetAside {
  return { id, streamId, version, position, reason: reason ?? "", at: new Date().toISOString() };
}

/** What somebody asked for meanwhile, by another tab as well, stands. */
function merged(next: Facts, now: Facts | undefined): Facts {
  if (now === undefined || now.asked === next.asked) return next;
  return { ...now, setAside: next.setAside };
}
