/**
 * The commits that each device has made, and the state in which its user last saw each of them. A commit is known by the keys of its events,
 * which stay when a rule or a decider replaces them.
 */
import type { Commit } from "../../../shared/event/commit.ts";
import type { EventBody } from "../../../shared/event/event.ts";
import { keyOf } from "../identity.ts";
import type { Observation, SeenConflict, SeenEvent } from "./observation.ts";

export interface Tracked {
  readonly device: string;
  readonly streamId: string;
  readonly events: readonly EventBody[];
  /** The expectation that it was made with. */
  readonly expectedVersion: Commit["expectedVersion"];
  readonly askedAt: number;
  /** When the device last said that it had taken it. */
  acceptedAt: number;
  /** The keys of its events. */
  readonly keys: readonly string[];
  /** The device has said that it has it, or has shown it. */
  isMade: boolean;
  /** The app, or its rule, may have let go of it. */
  mayBeGone: boolean;
  /** The app has let go of it. */
  isGone: boolean;
  /** The device has shown it as confirmed: it is the edge's from then on. */
  isConfirmed: boolean;
  /**
   * The app has appended something else by its ids, where nothing told of the first; or has appended it again after its rule gave its events
   * other ids. No device can know of such a mistake.
   */
  isMistaken: boolean;
  /** The app's rule has put other events in its place. */
  isReplaced: boolean;
  /** The key of the event that it was made on; null where there was none, undefined where nobody has seen. */
  base: string | null | undefined;
  /** The app, or its rule, has decided on it again. */
  isRedecided: boolean;
  /** Its decider has refused it on the device, after the device had taken it. */
  isUndecided: boolean;
  /** When the app last put it behind everything else again. */
  rebasedAt: number;
}

/** Where a commit was seen in one look at its stream. */
export interface Places {
  readonly pending: number;
  readonly confirmed: number;
  readonly conflicts: number;
  /** Some of its events were there, and some were not. */
  readonly isTorn: boolean;
}

export function foundIn({ pending, confirmed, conflicts }: Places): number {
  return pending + confirmed + conflicts;
}

export class Commits {
  readonly #byKey = new Map<string, Tracked>();
  readonly #byStream = new Map<string, Tracked[]>();

  see(observation: Observation, now: number): void {
    switch (observation.kind) {
      case "called":
        return this.#ask(observation.device, observation.commit, now);
      case "accepted":
        for (const tracked of this.of(observation.device, observation.commit.events)) {
          tracked.isMade = true;
          if (!observation.isDuplicate) {
            tracked.acceptedAt = now;
            // Another tab has let go of it while this append was under way.
            tracked.isGone = false;
          }
          if (tracked.isReplaced || tracked.events[0]?.data !== observation.commit.events[0]?.data) tracked.isMistaken = true;
        }
        return;
      case "ruled":
        for (const tracked of this.of(observation.device, observation.events)) {
          tracked.isRedecided = true;
          if (observation.isReplaced) tracked.isReplaced = true;
          if (observation.isDiscarded) tracked.mayBeGone = true;
        }
        return;
      case "commanded":
        // What it comes to depends on the stream, each time that it is decided.
        for (const tracked of this.#known(observation.device, observation.key)) tracked.isRedecided = true;
        return;
      case "undecided":
        for (const tracked of this.#known(observation.device, observation.key)) if (tracked.isMade) tracked.isUndecided = true;
        return;
      case "resolved":
        return this.#resolve(observation, now);
      case "evicted":
        // What was on the device alone is lost: the checker "silently wrong" demands that the device says so.
        for (const tracked of this.all()) if (tracked.device === observation.device) tracked.mayBeGone = true;
        return;
      case "replaced":
        // What the edge had, and has no more, may be confirmed on a device that nobody has looked at since.
        if (observation.part === "log") return;
        for (const event of [...observation.before.filter(({ position }) => position > observation.head), ...observation.unpublished]) {
          const tracked = this.#byKey.get(keyOf(event));
          if (tracked !== undefined) tracked.isConfirmed = true;
        }
        return;
      default:
    }
  }

  /** Where each commit is that the device has made to this stream. */
  look({ device, streamId, events, conflicts = [] }: Observation & { kind: "stream" }): readonly (readonly [Tracked, Places])[] {
    const seen = Map.groupBy(events, ({ body }) => keyOf(body));
    const known = (this.#byStream.get(`${device}/${streamId}`) ?? []).filter(({ isMistaken }) => !isMistaken);
    return known.map((tracked) => {
      const places = placesOf(tracked, seen, conflicts);
      if (places.confirmed > 0) tracked.isConfirmed = true;
      if (foundIn(places) > 0) tracked.isMade = true;
      if (tracked.base === undefined && places.pending > 0) tracked.base = before(tracked, events);
      return [tracked, places];
    });
  }

  /** The commit that has an event with this key. */
  byKey(key: string | null): Tracked | undefined {
    return key === null ? undefined : this.#byKey.get(key);
  }

  all(): readonly Tracked[] {
    return [...this.#byStream.values()].flat();
  }

  of(device: string, events: readonly EventBody[]): readonly Tracked[] {
    const [first] = events;
    return first === undefined ? [] : this.#known(device, keyOf(first));
  }

  #known(device: string, key: string): readonly Tracked[] {
    const tracked = this.#byKey.get(key);
    return tracked?.device === device ? [tracked] : [];
  }

  #ask(device: string, { streamId, expectedVersion, events }: Commit, now: number): void {
    const [known] = this.of(device, events);
    if (known !== undefined) {
      // Who tries again what was let go of makes it anew.
      if (known.isGone) known.mayBeGone = true;
      known.isGone = false;
      known.isRedecided = true;
      return;
    }
    const keys = events.map(keyOf);
    const tracked: Tracked = {
      device,
      streamId,
      events,
      expectedVersion,
      askedAt: now,
      acceptedAt: Number.POSITIVE_INFINITY,
      keys,
      isMade: false,
      mayBeGone: false,
      isGone: false,
      isConfirmed: false,
      isMistaken: false,
      isReplaced: false,
      base: undefined,
      isRedecided: false,
      isUndecided: false,
      rebasedAt: 0,
    };
    for (const key of keys) this.#byKey.set(key, tracked);
    const place = `${device}/${streamId}`;
    const others = this.#byStream.get(place);
    if (others === undefined) this.#byStream.set(place, [tracked]);
    else others.push(tracked);
  }

  #resolve({ device, conflict, how, isDone }: Observation & { kind: "resolved" }, now: number): void {
    for (const tracked of this.of(device, conflict.events)) {
      tracked.isRedecided = true;
      if (how === "rebase") tracked.rebasedAt = now;
      else {
        tracked.mayBeGone = true;
        tracked.isGone = isDone;
      }
    }
  }
}

/** The key of the event in front of a commit; null if there is none, undefined if the commit is not there. */
export function before({ keys }: Tracked, events: readonly SeenEvent[]): string | null | undefined {
  const at = events.findIndex(({ body }) => keyOf(body) === keys[0]);
  if (at < 0) return undefined;
  const event = events[at - 1];
  return event === undefined ? null : keyOf(event.body);
}

function placesOf({ keys }: Tracked, events: ReadonlyMap<string, readonly SeenEvent[]>, conflicts: readonly SeenConflict[]): Places {
  const copies = keys.map((key) => events.get(key) ?? []);
  const counts = copies.map(({ length }) => length);
  const found = Math.min(...counts);
  const confirmed = Math.min(...copies.map((some) => some.filter(({ isPending }) => !isPending).length));
  return {
    confirmed,
    pending: found - confirmed,
    conflicts: conflicts.filter(({ events: [first] }) => first !== undefined && keyOf(first) === keys[0]).length,
    isTorn: Math.max(...counts) > found,
  };
}
