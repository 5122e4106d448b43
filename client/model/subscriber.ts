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
import { HeadwaterError, InvalidRequestError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event.ts";
import { type FeedFilter, readerFilter } from "../../shared/feed-filter.ts";
import { type History, isWithin } from "../../shared/history.ts";
import {
  afterHandled,
  afterPassed,
  afterRefused,
  type Beginning,
  completePolicy,
  nextStep,
  type Progress,
  type SubscriptionPolicy,
  sentenceOfRefusal,
  stopped,
  waitAfter,
} from "../../shared/subscription.ts";
import { readHistory } from "../device-log.ts";
import type { ReadAllOptions } from "../event-store.ts";
import { pause } from "../pause.ts";
import { EVERY_EVENT, stretchAfter, stretches } from "./confirmed.ts";
import { whileElected } from "./elected.ts";
import type { Kit } from "./kit.ts";
import { latest } from "./latest.ts";
import { momentOf } from "./moment.ts";
import {
  askingChannel,
  begun,
  changeFacts,
  type Facts,
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
  /** Told of each refusal, with the event; the subscription goes on by its policy. */
  readonly onError?: (error: unknown, event: ConfirmedEvent) => void;
}

export type Handler = (event: ConfirmedEvent) => void | Promise<void>;

export class Subscriber {
  readonly #kit: Kit;
  readonly #handler: Handler;
  readonly #options: SubscribeOptions;
  readonly #policy: SubscriptionPolicy;
  readonly #filter: FeedFilter;
  readonly #ended = new AbortController();
  /** Of one without a name. */
  #own: Facts | undefined;
  /** The device holds the history that the checkpoint is of. */
  #isSure = false;

  constructor(kit: Kit, handler: Handler, options: SubscribeOptions) {
    this.#kit = kit;
    this.#handler = handler;
    this.#options = options;
    const { category, stream, type, correlation, name, from, onError, ...policy } = options;
    if (name === "") throw new InvalidRequestError("Name the subscription.", { field: "name" });
    this.#policy = { ...completePolicy(policy, "subscribe"), batchSize: 1 };
    const filter = readerFilter({ category, stream, type });
    const isOfCorrelation = (event: Cause) => correlation === undefined || event.id === correlation || correlationOf(event) === correlation;
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
    const wait = facts.notBefore - Date.now();
    if (wait > 0) {
      await pause(wait, this.#ended.signal);
      return true;
    }
    const proceed = (progress: Progress, told: Partial<Facts> = {}) =>
      this.#write({ ...facts, ...told, parts: [{ ...part, progress }, ...rest] });
    const { progress } = part;
    const upTo = Math.min(part.upTo ?? history.position, history.position);
    const { event, end } = await this.#due(progress.checkpoint, upTo, (streamId) => isIn(part, streamId));
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
        if (refusal === undefined) await proceed(afterHandled(progress, batch), { reason: null, last: placeOf(event) });
        else if (this.#ended.signal.aborted) return false;
        else {
          const refused = afterRefused(progress, batch);
          await proceed(refused, { reason: refusal, notBefore: Date.now() + waitAfter(refused, this.#policy, Math.random()) });
        }
        return true;
      }
      case "set-aside":
        await proceed(step.progress, { setAside: [...facts.setAside, setAsideOf(event, facts.reason)], last: placeOf(event) });
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
  async #replay(facts: Facts, position: number): Promise<boolean> {
    const { event } = await this.#due(position - 1, position, () => true);
    const refusal = event === undefined ? "The device holds it no more." : await this.#handOver(event);
    if (this.#ended.signal.aborted && refusal !== undefined) return false;
    const setAside = facts.setAside.flatMap((item) =>
      item.position !== position ? [item] : refusal === undefined ? [] : [{ ...item, reason: refusal }],
    );
    await this.#write({ ...facts, setAside, replay: facts.replay.slice(1) });
    return true;
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
  async #due(after: number, upTo: number, isWithinPart: (streamId: string) => boolean): Promise<{ event?: ConfirmedEvent; end: number }> {
    const stream = (streamId: string) => this.#filter.stream(streamId) && isWithinPart(streamId);
    const {
      events: [event],
      end,
    } = await stretchAfter(this.#kit.database, after, upTo, { ...this.#filter, stream });
    return event === undefined ? { end } : { event, end: event.position };
  }

  /** As they are now, or as they begin; undefined where it has to wait for what is filled in. */
  async #facts(history: History): Promise<Facts | undefined> {
    const { name, from = name === undefined ? "now" : "beginning" } = this.#options;
    if (history.fills.length > 0) return undefined;
    const kept = name === undefined ? this.#own : await this.#kit.database.run((db) => readFacts(db, name));
    if (kept === undefined) {
      const since = typeof from === "object" ? await this.#positionBefore(from.time, history.position) : from;
      const facts = begun(history, since);
      await this.#write(facts);
      return facts;
    }
    const facts = partsWithin(kept, history);
    if (facts.log === null) return { ...facts, log: history.log };
    const { last } = facts;
    // After a reset the device holds less for a while.
    if (history.log === null || (facts.log === history.log && last !== null && history.position < last.position)) {
      this.#isSure = false;
      return undefined;
    }
    this.#isSure = facts.log === history.log && (this.#isSure || last === null || (await this.#holds(last)));
    if (this.#isSure) return facts;
    const [first, ...rest] = facts.parts;
    if (first !== undefined && !first.progress.isStopped) {
      const reason = "The device follows another history; begin anew with reset().";
      await this.#write({ ...facts, reason, parts: [{ ...first, progress: stopped(first.progress) }, ...rest] });
    }
    return undefined;
  }

  async #holds({ id, position }: NonNullable<Facts["last"]>): Promise<boolean> {
    const { events } = await stretchAfter(this.#kit.database, position - 1, position, EVERY_EVENT);
    return events[0]?.id === id;
  }

  /** The position before the first event that was recorded at a time or later. */
  async #positionBefore(time: string, end: number): Promise<number> {
    const first = momentOf(time, "from.time");
    for await (const events of stretches(this.#kit.database, 0, end, EVERY_EVENT)) {
      const found = events.find(({ recordedAt }) => Date.parse(recordedAt) >= first);
      if (found !== undefined) return found.position - 1;
    }
    return end;
  }

  async #write(facts: Facts): Promise<void> {
    const { name } = this.#options;
    if (name === undefined) this.#own = facts;
    else await this.#kit.database.run((db) => changeFacts(db, name, (now) => merged(facts, now)));
  }
}

function placeOf({ id, position }: ConfirmedEvent): Facts["last"] {
  return { id, position };
}

function setAsideOf({ id, streamId, version, position }: ConfirmedEvent, reason: string | null): SetAside {
  return { id, streamId, version, position, reason: reason ?? "", at: new Date().toISOString() };
}

/** What somebody asked for meanwhile, by another tab as well, stands. */
function merged(next: Facts, now: Facts | undefined): Facts {
  if (now === undefined || now.asked === next.asked) return next;
  return { ...now, setAside: next.setAside };
}

function isIn({ within, without }: Part, streamId: string): boolean {
  return isWithin(within, streamId) && (without === undefined || !isWithin(without, streamId));
}
