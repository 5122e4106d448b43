/**
 * Worlds whose traffic can be compared. Everything between callers and the edge may go wrong, and whatever callers do to each other; the
 * edge itself does not fail, and its operator puts whole stores back or wipes them.
 */
import { FAULTS, type Fault, type Strengths } from "../faults.ts";
import { type Params, paramsOf } from "../params.ts";
import { Random } from "../random.ts";

/** The store of the prober. */
export const OWN = "probed";

/** In which part of the worlds each fault happens. */
const SHARES: Partial<Readonly<Record<Fault, number>>> = {
  "lose-request": 0.6,
  "lose-answer": 0.7,
  double: 0.7,
  delay: 0.6,
  offline: 0.5,
  "crash-tab": 0.5,
  "close-tab": 0.3,
  "freeze-tab": 0.4,
  "lose-hint": 0.3,
  "late-hint": 0.3,
  "crash-device": 0.5,
  "abort-write": 0.3,
  "lose-connection": 0.3,
  "fail-open": 0.2,
  "no-room": 0.3,
  "jump-clock": 0.3,
  reset: 0.4,
  "expire-token": 0.6,
  forbid: 0.4,
  poison: 0.7,
  "wipe-store": 0.3,
  "restore-store": 0.5,
};

export function faithfulParams(seed: number): Params {
  const params = paramsOf(seed);
  const random = new Random(seed, "faithful");
  const { isLive } = params;
  const drawn = (Object.keys(SHARES) as readonly Fault[]).map((fault) => {
    const strength = random.chance(SHARES[fault] ?? 0) ? random.between(200, 1000) / 1000 : 0;
    return [fault, FAULTS[fault].kind === "chance" ? strength / 2 : strength] as const;
  });
  // When a token ends, its feed sockets are closed: by a clock that the real edge does not share with the world.
  const faults: Strengths = Object.fromEntries(drawn.filter(([fault, strength]) => strength > 0 && !(isLive && fault === "expire-token")));
  return {
    ...params,
    minutes: Number(random.spread(0.4, 6).toFixed(2)),
    actions: random.between(20, 90),
    // A push that has one commit alone skips none.
    tooMany: Math.max(2, params.tooMany),
    edgeSubscription: undefined,
    // The real edge knows no event types, and no deciders.
    habits: params.habits?.filter((name) => name !== "types" && name !== "rollout"),
    isGuarded: false,
    faults,
  };
}
