/** The commits that each device has made, and the state in which its user last saw each of them. */
import type { Commit } from "../../../shared/event/commit.ts";
import type { EventBody } from "../../../shared/event/event.ts";
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
  /** The ids that it goes by: as it was made, and as the app's rule has put other events in its place. */
  readonly forms: (readonly string[])[];
  /** The device has said that it has it, or has shown it. */
  isMade: boolean;
  /** The app, or its rule, may have let go of it. */
  mayBeGone: boolean;
  /** The app has let go of it. */
  isGone: boolean;
  /** The device has shown it as confirmed: it is the edge's from then on. */
  isConfirmed: boolean;
  /** The app has appended something else by its ids, where nothing told of the first: a mistake that no device can know of. */
  isMistaken: boolean;
  /** The event that it was made on; null where there was none, undefined where nobody has seen. */
  base: string | null | undefined;
  /** The app, or its rule, has decided on it again. */
  isRedecided: boolean;
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
  readonly #byId = new Map<string, Tracked>();
  readonly #byStream = new Map<string, Tracked[]>();

  see(observation: Observation, now: number): void {
    switch (observation.kind) {
      case "called":
        return this.#ask(observation.device, observation.commit, now);
      case "accepted":
        for (const tracked of this.of(observation.device, observation.commit.events)) {
          tracked.isMade = true;
          if (!observation.isDuplicate) tracked.acceptedAt = now;
          if (tracked.events[0]?.data !== observation.commit.events[0]?.data) tracked.isMistaken = true;
        }
        return;
      case "ruled":
        return this.#rule(observation.device, observation.events, observation.by);
      case "resolved":
        return this.#resolve(observation, now);
      default:
    }
  }

  /** Where each commit is that the device has made to this stream. */
  look({ device, streamId, events, conflicts }: Observation & { kind: "stream" }): readonly (readonly [Tracked, Places])[] {
    const seen = new Map(events.map((event) => [event.body.id, event]));
    const known = (this.#byStream.get(`${device}/${streamId}`) ?? []).filter(({ isMistaken }) => !isMistaken);
    return known.map((tracked) => {
      const places = placesOf(tracked, seen, conflicts);
      if (places.confirmed > 0) tracked.isConfirmed = true;
      if (foundIn(places) > 0) tracked.isMade = true;
      if (tracked.base === undefined && places.pending > 0) tracked.base = before(tracked, events);
      return [tracked, places];
    });
  }

  all(): readonly Tracked[] {
    return [...this.#byStream.values()].flat();
  }

  of(device: string, events: readonly EventBody[]): readonly Tracked[] {
    const tracked = this.#byId.get(`${device}/${events[0]?.id}`);
    return tracked === undefined ? [] : [tracked];
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
    const ids = events.map(({ id }) => id);
    const tracked: Tracked = {
      device,
      streamId,
      events,
      expectedVersion,
      askedAt: now,
      acceptedAt: Number.POSITIVE_INFINITY,
      forms: [ids],
      isMade: false,
      mayBeGone: false,
      isGone: false,
      isConfirmed: false,
      isMistaken: false,
      base: undefined,
      isRedecided: false,
      rebasedAt: 0,
    };
    for (const id of ids) this.#byId.set(`${device}/${id}`, tracked);
    const key = `${device}/${streamId}`;
    const others = this.#byStream.get(key);
    if (others === undefined) this.#byStream.set(key, [tracked]);
    else others.push(tracked);
  }

  #rule(device: string, events: readonly EventBody[], by: readonly EventBody[] | null): void {
    for (const tracked of this.of(device, events)) {
      tracked.isRedecided = true;
      if (by === null) {
        tracked.mayBeGone = true;
        continue;
      }
      const ids = by.map(({ id }) => id);
      if (!tracked.forms.some((form) => form[0] === ids[0])) tracked.forms.push(ids);
      for (const id of ids) this.#byId.set(`${device}/${id}`, tracked);
    }
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

/** The event in front of a commit; undefined where the commit is not there as it was made. */
export function before({ forms }: Tracked, events: readonly SeenEvent[]): string | null | undefined {
  const at = events.findIndex(({ body }) => body.id === forms[0]?.[0]);
  return at === 0 ? null : events[at - 1]?.body.id;
}

function placesOf({ forms }: Tracked, events: ReadonlyMap<string, SeenEvent>, conflicts: readonly SeenConflict[]): Places {
  const places = { pending: 0, confirmed: 0, conflicts: 0, isTorn: false };
  for (const form of forms) {
    const seen = form.flatMap((id) => events.get(id) ?? []);
    if (seen.length === form.length) {
      if (seen.every(({ isPending }) => !isPending)) places.confirmed++;
      else places.pending++;
    } else if (seen.length > 0) places.isTorn = true;
    places.conflicts += conflicts.filter(({ events: own }) => own[0]?.id === form[0]).length;
  }
  return places;
}
