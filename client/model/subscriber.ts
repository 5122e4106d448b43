/**
 * A subscription on the device: an app's handler, given one event of a filter after the other, by one tab of the device at a time.
 *
 *     elected ──► read what is due ──► handler ──► checkpoint written ──► the next … nothing due ──► waits for a change
 *                                        └── refuses: after a wait again, in the end set aside or stopped (`shared/subscription.ts`)
 *
 * What the device comes to hold later, because its filter was widened, is handed over before the feed goes on: each such part has a
 * checkpoint of its own. Another history stops a subscription that began on one: its positions mean something else there.
 */
import type { IDBPDatabase } from "idb";
import { correlationOf } from "../../shared/causation.ts";
import { HeadwaterError, InvalidRequestError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event.ts";
import { readerFilter } from "../../shared/feed-filter.ts";
import { type History, isWithin } from "../../shared/history.ts";
import {
  afterHandled,
  afterPassed,
  afterRefused,
  type Beginning,
  completePolicy,
  nextStep,
  resumed,
  type SubscriptionPolicy,
  sentenceOfRefusal,
  stopped,
  waitAfter,
  waitLeft,
} from "../../shared/subscription.ts";
import type { Schema } from "../database.ts";
import { pagesFrom, readHistory, whole } from "../device-log.ts";
import type { ReadAllOptions } from "../event-store.ts";
import { pause } from "../pause.ts";
import { eventsOfPages } from "../segments.ts";
import type { Kit } from "./kit.ts";
import { latest } from "./latest.ts";
import { pagesOf } from "./pages.ts";
import { begun, type Facts, type Part, partsWithin, type SetAside } from "./subscription-facts.ts";

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

export interface SubscriptionStatus {
  readonly name: string;
  /** Every event of its filter up to here was handled or set aside. */
  readonly position: number;
  readonly isStopped: boolean;
  /** Why it stopped, or what it was refused last; null where nothing was. */
  readonly reason: string | null;
  /** Refusals in a row of the event that is due. */
  readonly failures: number;
  readonly setAside: readonly SetAside[];
}

export class Subscriber {
  readonly #kit: Kit;
  readonly #handler: Handler;
  readonly #options: SubscribeOptions;
  readonly #policy: SubscriptionPolicy;
  readonly #matches: (event: ConfirmedEvent) => boolean;
  readonly #isOfStream: (streamId: string) => boolean;
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
    const filter = readerFilter({
      ...(category !== undefined && { category }),
      ...(stream !== undefined && { stream }),
      ...(type !== undefined && { type }),
    });
    this.#isOfStream = filter.stream;
    this.#matches = (event) =>
      (filter.content?.(event) ?? true) && (correlation === undefined || event.id === correlation || correlationOf(event) === correlation);
    kit.ending.addEventListener("abort", () => this.#ended.abort(), { signal: this.#ended.signal });
    void this.#run();
  }

  end(): void {
    this.#ended.abort();
  }

  async #run(): Promise<void> {
    const { name } = this.#options;
    const ending = this.#ended.signal;
    const work = () =>
      new Promise<void>((resolve) => {
        const channel = name === undefined ? undefined : askingChannel(this.#kit, name);
        const watch = (listener: () => void) => {
          if (channel !== undefined) channel.onmessage = listener;
          return this.#kit.watch(listener);
        };
        const stop = latest({ watch, ending }, (isWanted) => this.#work(isWanted));
        ending.addEventListener("abort", () => {
          stop();
          channel?.close();
          resolve();
        });
      });
    const { locks } = globalThis.navigator ?? {};
    if (name === undefined || locks === undefined) return work();
    await locks.request(lockOf(this.#kit, name), { signal: ending }, work).catch((error: unknown) => {
      if (!ending.aborted) throw error;
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
    if (replay !== undefined) return this.#replay(history, facts, replay);
    const [part] = facts.parts;
    if (part === undefined || part.progress.isStopped) return false;
    const wait = waitLeft(facts.notBefore, Date.now(), this.#policy);
    if (wait > 0) {
      await pause(wait, this.#ended.signal);
      return true;
    }
    const upTo = Math.min(part.upTo ?? history.position, history.position);
    const { event, end } = await this.#due(history, part.progress.checkpoint, upTo, (streamId) => isIn(part, streamId));
    const batch = { count: 1, upTo: event?.position ?? end };
    if (event === undefined) {
      const isOver = part.upTo !== null && end >= part.upTo;
      if (!isOver && end === part.progress.checkpoint) return false;
      await this.#write(
        facts,
        isOver ? facts.parts.slice(1) : [{ ...part, progress: afterPassed(part.progress, end) }, ...facts.parts.slice(1)],
      );
      return true;
    }
    const rest = facts.parts.slice(1);
    const step = nextStep(part.progress, this.#policy, batch);
    switch (step.kind) {
      case "hand-over": {
        const refusal = await this.#handOver(event);
        if (this.#ended.signal.aborted && refusal !== undefined) return false;
        if (refusal === undefined) {
          const handled = { ...part, progress: afterHandled(part.progress, batch) };
          await this.#write({ ...facts, reason: null, last: event }, [handled, ...rest]);
        } else {
          const progress = afterRefused(part.progress, batch);
          const notBefore = Date.now() + waitAfter(progress, this.#policy, Math.random());
          await this.#write({ ...facts, reason: refusal, notBefore }, [{ ...part, progress }, ...rest]);
        }
        return true;
      }
      case "set-aside": {
        const setAside = [...facts.setAside, setAsideOf(event, facts.reason)];
        await this.#write({ ...facts, setAside, last: event }, [{ ...part, progress: step.progress }, ...rest]);
        return true;
      }
      case "take-apart":
      case "stop":
        await this.#write(facts, [{ ...part, progress: step.progress }, ...rest]);
        return true;
      default:
        return step satisfies never;
    }
  }

  /** Hands an event that was set aside over again. It stays in the list where it is refused once more. */
  async #replay(history: History, facts: Facts, position: number): Promise<boolean> {
    const { event } = await this.#due(history, position - 1, position, () => true);
    const refusal = event === undefined ? "The device holds it no more." : await this.#handOver(event);
    if (this.#ended.signal.aborted && refusal !== undefined) return false;
    const setAside = facts.setAside.flatMap((item) =>
      item.position !== position ? [item] : refusal === undefined ? [] : [{ ...item, reason: refusal }],
    );
    await this.#write({ ...facts, setAside, replay: facts.replay.slice(1) }, facts.parts);
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
  async #due(
    history: History,
    after: number,
    upTo: number,
    isWithinPart: (streamId: string) => boolean,
  ): Promise<{ event?: ConfirmedEvent; end: number }> {
    if (after >= upTo) return { end: after };
    const segments = await this.#kit.database.run((db) => pagesOf(db, history, after));
    // Let go of meanwhile: there will be a change.
    if (segments === undefined) return { end: after };
    const last = segments.at(-1);
    if (last === undefined) return { end: upTo };
    const event = eventsOfPages(segments, (streamId) => this.#isOfStream(streamId) && isWithinPart(streamId)).find(
      (found) => found.position > after && found.position <= upTo && this.#matches(found),
    );
    return event === undefined ? { end: Math.min(last.key[0], upTo) } : { event, end: event.position };
  }

  /** As they are now, or as they begin; undefined where it has to wait for what is filled in. */
  async #facts(history: History): Promise<Facts | undefined> {
    const { name, from = name === undefined ? "now" : "beginning" } = this.#options;
    if (history.fills.length > 0) return undefined;
    const kept = name === undefined ? this.#own : await this.#kit.database.run((db) => readFacts(db, name));
    if (kept === undefined) {
      const since = typeof from === "object" ? await this.#positionBefore(from.time, history.position) : from;
      const facts = begun(history, since);
      await this.#write(facts, facts.parts);
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
    this.#isSure &&= facts.log === history.log;
    this.#isSure ||= facts.log === history.log && (last === null || (await this.#holds(last)));
    if (this.#isSure) return facts;
    const [first, ...rest] = facts.parts;
    if (first !== undefined && !first.progress.isStopped) {
      await this.#write({ ...facts, reason: "The device follows another history; begin anew with reset()." }, [
        { ...first, progress: stopped(first.progress) },
        ...rest,
      ]);
    }
    return undefined;
  }

  async #holds({ id, position }: NonNullable<Facts["last"]>): Promise<boolean> {
    const segments = await this.#kit.database.run((db) => pagesFrom(db, position - 1));
    return eventsOfPages(segments).some((event) => event.position === position && event.id === id);
  }

  /** The position before the first event that was recorded at a time or later. */
  async #positionBefore(time: string, end: number): Promise<number> {
    const first = Date.parse(time);
    if (Number.isNaN(first)) throw new InvalidRequestError("A time is ISO 8601, e.g. 2026-01-31T09:30:00Z.", { field: "from.time" });
    for (let after = 0; after < end; ) {
      const from = after;
      const segments = await this.#kit.database.run((db) => pagesFrom(db, from));
      const found = eventsOfPages(segments).find((event) => event.position > from && Date.parse(event.recordedAt) >= first);
      if (found !== undefined) return found.position - 1;
      const last = segments.at(-1);
      if (last === undefined) break;
      after = last.key[0];
    }
    return end;
  }

  async #write(facts: Facts, parts: Facts["parts"]): Promise<void> {
    const { name } = this.#options;
    const last = facts.last && { id: facts.last.id, position: facts.last.position };
    const next = { ...facts, parts, last };
    if (name === undefined) this.#own = next;
    else await this.#kit.database.run((db) => changeFacts(db, name, (now) => merged(next, now)));
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

function isIn({ within, without }: Part, streamId: string): boolean {
  return isWithin(within, streamId) && (without === undefined || !isWithin(without, streamId));
}

/** Whoever asks something of a subscription tells the tab that runs it; what is not heard is seen at the next change. */
function askingChannel(kit: Kit, subscription: string): BroadcastChannel | undefined {
  return typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(lockOf(kit, subscription));
}

function lockOf({ name }: Kit, subscription: string): string {
  return `headwater:${name}:subscription:${subscription}`;
}

async function readFacts(db: IDBPDatabase<Schema>, name: string): Promise<Facts | undefined> {
  return db.transaction(["checkpoints"], "readonly").objectStore("checkpoints").get(name);
}

async function changeFacts(db: IDBPDatabase<Schema>, name: string, change: (now: Facts | undefined) => Facts): Promise<Facts> {
  const tx = db.transaction(["checkpoints"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const facts = change(await tx.objectStore("checkpoints").get(name));
    await tx.objectStore("checkpoints").put(facts, name);
    return facts;
  });
}

/** A named subscription as whoever looks after it sees it. */
export class SubscriptionKeeper {
  readonly #kit: Kit;
  readonly #name: string;

  constructor(kit: Kit, name: string) {
    this.#kit = kit;
    this.#name = name;
  }

  /** Undefined where no subscription of this name has begun on this device. */
  async status(): Promise<SubscriptionStatus | undefined> {
    const facts = await this.#kit.database.run((db) => readFacts(db, this.#name));
    const [part] = facts?.parts ?? [];
    if (facts === undefined || part === undefined) return undefined;
    const { checkpoint: position, isStopped, failures } = part.progress;
    return { name: this.#name, position, isStopped, reason: facts.reason, failures, setAside: facts.setAside };
  }

  /** Hands over again what was set aside: all of it, or the events of these ids. */
  async replay(ids?: readonly string[]): Promise<void> {
    await this.#ask((facts) => ({
      ...facts,
      replay: facts.setAside.filter(({ id }) => ids?.includes(id) ?? true).map(({ position }) => position),
    }));
  }

  /** Goes on where it stopped. */
  async resume(): Promise<void> {
    await this.#ask((facts) => ({
      ...facts,
      notBefore: 0,
      parts: facts.parts.map((part) => ({ ...part, progress: resumed(part.progress) })),
    }));
  }

  /** Begins behind a position of the history that the device follows now; what was set aside stays in the list. */
  async reset(position = 0): Promise<void> {
    const history = await this.#kit.database.run(readHistory);
    await this.#ask((facts) => ({ ...begun(history, position), setAside: facts.setAside, asked: facts.asked }));
  }

  async #ask(change: (facts: Facts) => Facts): Promise<void> {
    await this.#kit.database.run((db) =>
      changeFacts(db, this.#name, (facts) => {
        if (facts === undefined) throw new InvalidRequestError(`No subscription ${this.#name} has begun here.`, { field: "name" });
        return { ...change(facts), asked: facts.asked + 1 };
      }),
    );
    const channel = askingChannel(this.#kit, this.#name);
    channel?.postMessage(null);
    channel?.close();
  }
}
