/**
 * The parameters in which worlds differ. All are drawn from the seed, and each fault is switched on or off independently: worlds in which
 * everything goes wrong at once find less than worlds that are each bad in another way ("swarm testing", Groce et al., 2012). A failure is
 * saved as its parameters. They can be made smaller while the world still fails (`shrink.ts`).
 */
import type { SubscriptionPolicy } from "../../shared/subscription.ts";
import { FAULT_NAMES, FAULTS, STORAGE_FAILS, STORAGE_FAULT_NAMES, STORAGE_FAULTS, type Strengths } from "./faults.ts";
import { type HabitName, habitsOf } from "./habits/names.ts";
import { Random } from "./random.ts";

/** What the app does with a pending commit that others were faster than. */
export type AppRule = "park" | "commute" | "rebase" | "discard" | "replace" | "mixed";

/** `part`: some categories, for good. `changing`: the app appends outside of it, and is opened with other filters. */
export type ScopeHabit = "all" | "part" | "changing";

export interface Params {
  readonly seed: number;
  /** Virtual minutes in which things go wrong. */
  readonly minutes: number;
  readonly devices: number;
  /** Of a device, at most. */
  readonly tabs: number;
  readonly streams: number;
  /** What all apps and writers together do. */
  readonly actions: number;
  readonly pageEvents: number;
  readonly pushCommits: number;
  readonly pushStreams: number;
  /** Milliseconds. */
  readonly pollEvery: number;
  /** Commits of a push that the edge finds too much. */
  readonly tooMany: number;
  readonly rule: AppRule;
  readonly scope: ScopeHabit;
  /** Whether stores sync by themselves, or only when asked. */
  readonly isAutomatic: boolean;
  /** Whether stores open a feed socket. */
  readonly isLive: boolean;
  /** Whether another store lives at the same edge. */
  readonly hasTenant: boolean;
  /** Whether apps fill a shelf and take from it by commands. */
  readonly hasStock: boolean;
  /** Whether the edge has the shelf's decider, and so decides these commands itself. */
  readonly isGuarded?: boolean | undefined;
  /** What apps derive from events, beside the events themselves: rows of a projection, subscriptions, and states of streams. */
  readonly derives: { readonly rows: boolean; readonly subscriptions: boolean; readonly states: boolean };
  /** What becomes of an event that a subscription of a device is refused too often. */
  readonly onFailure: SubscriptionPolicy["onFailure"];
  /** How each store's subscription at the edge goes on; undefined where there is none. */
  readonly edgeSubscription?: SubscriptionPolicy | undefined;
  /** What some users and callers do besides; none if it is left out. */
  readonly habits?: readonly HabitName[] | undefined;
  readonly faults: Strengths;
}

/** @param storage whether that of some worlds fails, or that of none */
export function paramsOf(seed: number, storage: "fails" | "keeps" = "fails"): Params {
  const random = new Random(seed, "params");
  const devices = random.between(1, 4);
  const pushCommits = random.between(2, 5);
  return {
    seed,
    minutes: Number(random.spread(0.4, random.chance(0.06) ? 40 : 5).toFixed(2)),
    devices,
    tabs: random.between(1, 3),
    streams: random.chance(0.6) ? random.between(1, 3) : random.between(4, 12),
    actions: Math.round(random.spread(5, 120)),
    pageEvents: random.between(2, 7),
    pushCommits,
    pushStreams: random.between(2, 4),
    pollEvery: random.pick([5_000, 20_000, 60_000]),
    tooMany: random.chance(0.3) ? random.between(1, pushCommits) : 100,
    rule: random.pick(["park", "park", "commute", "rebase", "discard", "replace", "mixed"]),
    scope: random.pick(["all", "all", "all", "part", "changing"]),
    isAutomatic: random.chance(0.85),
    isLive: new Random(seed, "live").chance(0.5),
    hasTenant: random.chance(0.4),
    hasStock: new Random(seed, "stock").chance(0.4),
    isGuarded: new Random(seed, "guarded").chance(0.5),
    derives: derives(new Random(seed, "derives")),
    onFailure: new Random(seed, "subscription").chance(0.3) ? "stop" : "dead-letter",
    edgeSubscription: subscription(new Random(seed, "edge subscription")),
    habits: habitsOf(seed),
    faults: { ...strengths(random), ...(storage === "fails" && ofStorage(new Random(seed, "storage"))) },
  };
}

function subscription(random: Random): SubscriptionPolicy | undefined {
  if (!random.chance(0.5)) return undefined;
  return {
    batchSize: random.between(2, 8),
    retries: random.between(0, 4),
    onFailure: random.chance(0.7) ? "dead-letter" : "stop",
    maxConsecutiveDeadLetters: random.between(1, 5),
    backoff: { first: 2000, longest: 20_000 },
  };
}

function derives(random: Random): Params["derives"] {
  return { rows: random.chance(0.5), subscriptions: random.chance(0.5), states: random.chance(0.5) };
}

function strengths(random: Random): Strengths {
  // Some worlds are calm: what fails there fails without any help.
  const calm = random.chance(0.1) ? 0 : random.spread(0.4, 2.5);
  const drawn = FAULT_NAMES.filter((fault) => !(fault in STORAGE_FAULTS)).map((fault) => {
    const strength = random.next() ** 2;
    return [fault, random.chance(FAULTS[fault].share * calm) ? Number(strength.toFixed(3)) : 0] as const;
  });
  return Object.fromEntries(drawn.filter(([, strength]) => strength > 0));
}

/** In most worlds storage keeps what was written, so that the other promises can be demanded without an exception. */
function ofStorage(random: Random): Strengths {
  if (!random.chance(STORAGE_FAILS)) return {};
  const drawn = STORAGE_FAULT_NAMES.map((fault) => {
    const strength = Number(random.spread(0.2, 1).toFixed(3));
    return [fault, random.chance(STORAGE_FAULTS[fault].share) ? strength : 0] as const;
  });
  return Object.fromEntries(drawn.filter(([, strength]) => strength > 0));
}
