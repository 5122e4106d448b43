/**
 * Invariant 6: each pending commit ends as exactly one of: confirmed, a visible conflict, discarded by the app. On every device, at every
 * step, created = confirmed + pending + parked + discarded. Each parked commit has a reason. The commits of a device are in a stream in the
 * order in which they were made. A commit that was made on a version is confirmed on that version.
 *
 * A commit without an exact expected version may be confirmed although it was discarded, if a copy of it was still on its way: nothing can
 * call it back. These are counted. A commit with an exact expected version may not, because others' events have the versions that it needs.
 * There are two exceptions: an operator has removed those events, or a reset has parked the commit while it was on its way.
 */

import { isWithin, type Scope } from "../../../shared/device/replica.ts";
import { exactVersion } from "../../../shared/expected-version.ts";
import { keyOf } from "../identity.ts";
import { poisonOf } from "../poison.ts";
import { Checker } from "./checker.ts";
import { before, Commits, foundIn, type Places, type Tracked } from "./commits.ts";
import type { Observation, SeenConflict, SeenEvent } from "./observation.ts";
import { StreamsPutBack } from "./put-back.ts";

const LATE = "looks at a commit that was discarded on its way, and is confirmed";

type Look = Observation & { kind: "stream" };

export class ConservationChecker extends Checker {
  readonly name = "6 conservation";
  readonly #commits = new Commits();
  readonly #stores = new Map<string, string>();
  readonly #scopes = new Map<string, Scope>();
  /** Streams to which a device has made a commit that the edge has something against. */
  readonly #poisoned = new Set<string>();
  /** Devices whose grants were taken away for a while. */
  readonly #forbidden = new Set<string>();
  readonly #torn = new Set<Tracked>();
  readonly #resetAt = new Map<string, number>();
  readonly #replaced = new Set<string>();
  readonly #streamsPutBack = new StreamsPutBack();

  see(observation: Observation, now: number): void {
    this.#commits.see(observation, now);
    this.#streamsPutBack.see(observation, now);
    switch (observation.kind) {
      case "opened":
        this.#stores.set(observation.device, observation.store);
        this.#scopes.set(observation.device, observation.scope);
        return;
      case "token":
        if (observation.token.stores.length === 0) this.#forbidden.add(observation.device);
        return;
      case "called": {
        const { device, commit } = observation;
        if (poisonOf(commit.events) !== undefined) this.#poisoned.add(`${device}/${commit.streamId}`);
        return;
      }
      case "replaced":
        if (observation.part === "store") this.#replaced.add(observation.store);
        return;
      case "reset":
        this.#resetAt.set(observation.device, now);
        return;
      case "stream":
        // Without its conflicts it is only a part.
        if (observation.conflicts === undefined) return void this.#commits.look(observation);
        this.#account(observation);
        this.#isForCause(observation, observation.conflicts);
        return;
      default:
    }
  }

  #account(observation: Look): void {
    const looks = this.#commits.look(observation);
    for (const [tracked, places] of looks) {
      this.#isWhole(tracked, places);
      if (places.confirmed > 0) this.#isOnItsBase(tracked, observation.events);
      if (tracked.isGone) this.#isLetGo(tracked, places);
      // A store that was put back may take what it had refused before.
      const mayBeTwice = this.#wasReplaced(tracked);
      const isOnce = foundIn(places) <= 1 || (places.confirmed > 0 && mayBeTwice);
      this.demand(tracked.isGone || isOnce, () => `${nameOf(tracked)} is there more than once: ${told(places)}`);
    }
    this.#isInOrder(
      observation.events,
      looks.map(([tracked]) => tracked),
    );
  }

  /** What the edge had taken may come page by page: after a reset, and after it was parked or let go of while it was on its way. */
  #isWhole(tracked: Tracked, places: Places): void {
    const mayCome = this.#wasReset(tracked) || this.#wasReplaced(tracked) || tracked.mayBeGone || places.conflicts > 0;
    if (places.isTorn) this.#torn.add(tracked);
    else this.#torn.delete(tracked);
    this.demand(!places.isTorn || mayCome, () => `${nameOf(tracked)} is there in part`);
  }

  /** Who names the version that a commit builds on means what was there: not other events that give the stream the same number. */
  #isOnItsBase(tracked: Tracked, events: readonly SeenEvent[]): void {
    const { base, isRedecided, expectedVersion } = tracked;
    if (exactVersion(expectedVersion) === undefined || base === undefined || isRedecided) return;
    const found = before(tracked, events);
    const isExcused = this.#wasReset(tracked) || this.#wasReplaced(tracked) || this.#wasUndone(this.#commits.byKey(base));
    this.demand(found === base || isExcused, () => `${nameOf(tracked)} was made on ${base}, and is confirmed on ${found}`);
  }

  #isLetGo(tracked: Tracked, places: Places): void {
    this.demand(places.pending + places.conflicts === 0, () => `${nameOf(tracked)} was discarded, and is there: ${told(places)}`);
    if (places.confirmed === 0) return;
    const isExact = exactVersion(tracked.expectedVersion) !== undefined;
    const isExcused = this.#wasReplaced(tracked) || this.#wasReset(tracked);
    this.demand(!isExact || isExcused, () => `${nameOf(tracked)} was discarded, and is confirmed`);
    this.noted[LATE] = (this.noted[LATE] ?? 0) + 1;
  }

  /** What the edge could take waits, however long. */
  #isForCause({ device, streamId }: Look, conflicts: readonly SeenConflict[]): void {
    if (this.#poisoned.has(`${device}/${streamId}`)) return;
    for (const { shown, events } of conflicts) {
      if (shown === undefined) continue;
      const { code } = shown;
      const isForbidden = code === "forbidden" && this.#forbidden.has(device);
      const isRefused = code === "command-refused" && shown.command !== undefined;
      const isCause = code === "version-conflict" || code === "event-id-reused" || code === "log-mismatch" || isForbidden || isRefused;
      this.demand(
        isCause,
        () => `${device}: ${events[0] && keyOf(events[0])} to ${streamId} is parked for ${code}, and the edge has nothing against it`,
      );
    }
  }

  /**
   * What was taken before another was asked for stands before it: but for what the app has put behind everything else again, and
   * for histories that are others now. Of two that were under way at once either may be first, whichever answer was heard first. What its
   * decider has refused on the device is parked, and the app may discard what is parked: a copy that was on its way may reach the edge behind
   * later ones.
   */
  #isInOrder(events: readonly SeenEvent[], tracked: readonly Tracked[]): void {
    const made = new Map(tracked.map((commit) => [commit.keys[0], commit] as const));
    let lastAsked: Tracked | undefined;
    for (const { body, isPending } of events) {
      const commit = made.get(keyOf(body));
      if (
        commit === undefined ||
        isPending ||
        !Number.isFinite(commit.acceptedAt) ||
        commit.rebasedAt > 0 ||
        commit.isUndecided ||
        commit.mayBeGone ||
        this.#wasReset(commit) ||
        this.#wasReplaced(commit) ||
        this.#wasUndone(commit)
      )
        continue;
      const before = lastAsked;
      this.demand(
        before === undefined || commit.acceptedAt >= before.askedAt,
        () => `${nameOf(commit)} was made before ${before === undefined ? "" : nameOf(before)}, and stands behind it`,
      );
      if (before === undefined || commit.askedAt > before.askedAt) lastAsked = commit;
    }
  }

  #wasReset({ device, askedAt }: Tracked): boolean {
    return (this.#resetAt.get(device) ?? -1) >= askedAt;
  }

  /** A device may build on what the edge had taken from it and an operator has then taken away, and not learn of it for a while. */
  #wasReplaced({ device }: Tracked): boolean {
    return this.#replaced.has(this.#stores.get(device) ?? "");
  }

  /**
   * A stream that was put back alone may take a commit while the log can't be reached. Its repair undoes that, and the device sends the
   * commit again as soon as it learns of it. What it has built on it meanwhile names a version, which the stream may have by then.
   */
  #wasUndone(tracked: Tracked | undefined): boolean {
    if (tracked === undefined) return false;
    return this.#streamsPutBack.mayHaveTaken(this.#stores.get(tracked.device) ?? "", tracked.streamId, tracked.askedAt);
  }

  override finish(): void {
    for (const tracked of this.#torn) {
      // What the scope covers no more stays as it was.
      const isFollowed = isWithin(this.#scopes.get(tracked.device) ?? null, tracked.streamId);
      this.demand(!isFollowed, () => `${nameOf(tracked)} has stayed there in part`);
    }
  }
}

function nameOf({ device, streamId, keys }: Tracked): string {
  return `${device}: the commit of ${keys.join(" ")} to ${streamId}`;
}

function told({ pending, confirmed, conflicts }: Places): string {
  return `pending ${pending}, confirmed ${confirmed}, conflicts ${conflicts}`;
}
