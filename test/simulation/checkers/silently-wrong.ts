/**
 * Whoever reads a wrong history is told within a bounded time. It demands this of worlds whose storage fails (`faults.ts`).
 *
 * 1. Nobody gets a wrong event as if it were right. What is read of a place that was damaged, in a stream, a page of the feed, a tail, a
 *    handler, or a device, is what was recorded there: id, type, schema version, data, metadata, actor and both times. This is demanded at
 *    every step, also of what `damaged=skip` leaves. A stream that was put back may show other events, but none with a position.
 * 2. Who needs what is damaged is told. When the world heals, storage stays damaged for a while, and everybody is looked at:
 *
 *        who                            is told by                                                           within
 *        a reader over HTTP             `storage-damaged`, with the place; `damaged=skip` names the same     `AT_EDGE`
 *        a writer                       `stream-diverged`, if the stream was put back or deleted             `AT_EDGE`
 *        who looks at `health`          `diverged`, if the stream was put back or deleted                    `AT_EDGE`
 *        a subscription at the edge     `stopped`, if it has not got past the damage                         `ON_DEVICES`
 *        a device                       `status.problem`, or the connection `diverged`, if it can't          `ON_DEVICES`
 *                                       get up to the log's head, or can't send what is pending
 *
 * 3. What a device has lost with its database is in `status.lost` when all is quiet: how many commits, and their streams.
 *
 * 4. A log that does not have any more what is remembered beside it, since it was put back or deleted, says so in the store's health when all
 *    is quiet; and one that has all of it does not.
 *
 * A log that was put back is told by `log-mismatch`, `position-ahead` and the connection `diverged`. The checkers "10 one history" and "5
 * convergence" demand that: a device that is not told keeps what no history has.
 *
 * What can't be seen, and is not demanded: a letter of a line that has no digest, which this product never writes; an event that its stream
 * lost before the log had it, since nobody else knows it; an event that replaces another one together with its digest; a loss whose count is
 * gone with the database; a commit within `COUNTED` milliseconds before its tab ended, and commits that the edge has, whoever lost them.
 */
import { isDeepStrictEqual } from "node:util";
import type { RecordedEvent } from "../../../shared/event/event.ts";
import { markAfter, START_MARK } from "../../../shared/mark.ts";
import { keyOf } from "../identity.ts";
import { Checker } from "./checker.ts";
import { Commits, type Tracked } from "./commits.ts";
import { Lives } from "./lives.ts";
import type { Observation } from "./observation.ts";
import { isPutBack } from "./put-back.ts";

/** Milliseconds from the healing until everybody at the edge who asks for what is damaged is told. */
export const AT_EDGE = 30_000;
/** The same for devices and subscriptions: the longest backoff is 300 s. */
export const ON_DEVICES = 600_000;
/** Milliseconds after which a commit is counted beside the database, if its tab goes on: 50, and what reading the database takes. */
const COUNTED = 2_000;

type Health = Observation & { readonly kind: "health" };
type Lost = Observation & { readonly kind: "lost" };

export class SilentlyWrongChecker extends Checker {
  readonly name = "silently wrong";
  override readonly seesPutBack = true;
  readonly #commits = new Commits();
  readonly #lives = new Lives();
  /** What was recorded where storage was damaged, by store, stream and version. */
  readonly #recorded = new Map<string, RecordedEvent>();
  /** Stores that were put back or wiped: a device that was not told yet still has the history before. */
  readonly #replaced = new Set<string>();
  /** Streams that were ever put back alone. */
  readonly #putBack = new Set<string>();
  readonly #stores = new Map<string, string>();
  readonly #stopped = new Map<string, number[]>();
  /** The commits that were on a device alone when its databases were deleted. */
  readonly #evicted = new Set<Tracked>();
  /** By their keys, what streams had and their log had not when they were put back together. */
  readonly #unpublished = new Set<string>();
  /** As each tab has shown it last. */
  readonly #shown = new Map<string, Lost>();

  see(observation: Observation, now: number): void {
    this.#lives.see(observation, now);
    if (observation.kind === "evicted") this.#evict(observation.device, now);
    this.#commits.see(observation, now);
    switch (observation.kind) {
      case "opened":
        this.#stores.set(observation.device, observation.store);
        return;
      case "tab-stopped":
        this.#stopped.set(observation.device, [...(this.#stopped.get(observation.device) ?? []), now]);
        return;
      case "damaged":
        for (const event of observation.events) this.#recorded.set(placeOf(observation.store, event), event);
        if (isPutBack(observation.fault)) this.#putBack.add(`${observation.store}/${observation.streamId}`);
        return;
      case "replaced":
        this.#replaced.add(observation.store);
        for (const event of observation.unpublished) this.#unpublished.add(keyOf(event));
        // Other events may be recorded there now.
        for (const key of this.#recorded.keys()) if (key.startsWith(`${observation.store}/`)) this.#recorded.delete(key);
        return;
      case "page":
        return this.#compare(observation.store, "a page of the feed", observation.page.events);
      case "edge-stream":
      case "salvaged":
        return this.#compare(observation.store, "a read", observation.events);
      case "tailed":
        return this.#compare(observation.store, "a tail", [observation.event]);
      case "edge-handed":
        return this.#compare(observation.store, "a handler at the edge", observation.handed);
      case "handed":
      case "handled":
        return this.#compareOnDevice(observation.device, `a handler of ${observation.device}`, [observation.event]);
      case "all":
        return this.#compareOnDevice(observation.device, observation.device, observation.events);
      case "stream":
        // Without its conflicts it is only a part.
        if (observation.conflicts !== undefined) this.#commits.look(observation);
        return;
      case "untold": {
        const { fault, within, who } = observation;
        return this.demand(who.length === 0, () => `${within / 1000} s after ${fault} these are not told: ${who.join("; ")}`);
      }
      case "health":
        return this.#compareHealth(observation);
      case "lost":
        this.#shown.set(observation.tab, observation);
        return;
      default:
    }
  }

  /** By the ids of the events alone: the log's own marks may be what is wrong. */
  #compareHealth({ store, lost, remembered, told, before, after }: Health): void {
    const isWhole = (events: readonly RecordedEvent[]) => {
      const ids = events.slice(0, remembered?.head).map(({ id }) => id);
      return remembered === null || (ids.length === remembered.head && markAfter(START_MARK, ids) === remembered.mark);
    };
    const expected = [before, after].map((events) => (isWhole(events) ? null : remembered));
    const isRight = expected.some((one) => isDeepStrictEqual(one, lost));
    this.demand(isRight, () => `the health of ${store} says ${JSON.stringify(lost)} is lost, and not ${JSON.stringify(expected)}`);
    const isTold = lost !== null || (told?.head ?? 0) >= before.length;
    this.demand(isTold, () => `beside the log of ${store} only #${told?.head} is remembered, and it has #${before.length}`);
  }

  #compareOnDevice(device: string, where: string, events: readonly RecordedEvent[]): void {
    const store = this.#stores.get(device) ?? "";
    // What was recorded anew has another id, or another time.
    const isOlder = (event: RecordedEvent) => {
      const recorded = this.#replaced.has(store) ? this.#recorded.get(placeOf(store, event)) : undefined;
      return recorded !== undefined && (recorded.id !== event.id || recorded.recordedAt !== event.recordedAt);
    };
    this.#compare(
      store,
      where,
      events.filter((event) => !isOlder(event)),
    );
  }

  #compare(store: string, where: string, events: readonly RecordedEvent[]): void {
    if (this.#recorded.size === 0) return;
    for (const event of events) {
      const recorded = this.#recorded.get(placeOf(store, event));
      const isOfPutBack = event.position === null && this.#putBack.has(`${store}/${event.streamId}`);
      if (recorded === undefined || isOfPutBack) continue;
      const isSame = isDeepStrictEqual(contentOf(event), contentOf(recorded));
      this.demand(isSame, () => `${where} has ${JSON.stringify(event)}, and ${JSON.stringify(recorded)} was recorded`);
    }
  }

  #evict(device: string, now: number): void {
    const stopped = this.#stopped.get(device) ?? [];
    for (const tracked of this.#commits.all()) {
      const { isMade, mayBeGone, isConfirmed, isMistaken, acceptedAt } = tracked;
      const isOpen = isMade && !mayBeGone && !isConfirmed && !isMistaken;
      const isCounted = acceptedAt + COUNTED <= now && !stopped.some((at) => at >= acceptedAt && at < acceptedAt + COUNTED);
      if (tracked.device === device && isOpen && isCounted) this.#evicted.add(tracked);
    }
  }

  override finish(): void {
    for (const [device, commits] of Map.groupBy(this.#evicted, ({ device }) => device)) {
      const store = this.#stores.get(device) ?? "";
      // The edge may have taken it, and an operator may have put the store back since; or a stream that was put back has taken it, and the
      // repair has undone that. To the device it was the edge's.
      const isUndone = ({ streamId }: Tracked) => this.#putBack.has(`${store}/${streamId}`);
      const atEdge = new Set(this.#lives.of(store).flatMap(({ events }) => events.map(keyOf)));
      const isKept = ({ keys }: Tracked) => keys.some((key) => atEdge.has(key) || this.#unpublished.has(key));
      const lost = commits.filter((tracked) => !isKept(tracked) && !isUndone(tracked));
      if (lost.length === 0) continue;
      for (const shown of this.#shown.values()) if (shown.device === device) this.#isTold(shown, lost);
    }
  }

  #isTold({ tab, lost: shown }: Lost, lost: readonly Tracked[]): void {
    const isTold = lost.every(({ streamId }) => shown?.streamIds.includes(streamId) === true) && (shown?.commits ?? 0) >= lost.length;
    const all = lost.map(({ streamId, keys }) => `${keys.join(" ")} to ${streamId}`);
    this.demand(isTold, () => `${tab} shows ${JSON.stringify(shown)} as lost, and these are: ${all.join("; ")}`);
  }
}

function placeOf(store: string, { streamId, version }: RecordedEvent): string {
  return `${store}/${streamId}@${version}`;
}

/** Everything that was recorded. The product's own comparison is not asked: it may be what is wrong. */
function contentOf({ id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor }: RecordedEvent): readonly unknown[] {
  return [id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor];
}
