import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decideKeySet,
  FAILURE_PAUSE,
  FETCH_TIME,
  FRESH,
  GONE,
  type KeySetFacts,
  TRUSTED,
  UNKNOWN_PAUSE,
} from "../../../shared/edge/key-set.ts";
import { SEED } from "../../support/seed.ts";

const NOW = 10_000_000;

/** Facts from ages, in milliseconds. */
function facts(ages: { fetched?: number; failed?: number; fetching?: number }): KeySetFacts {
  const at = (age: number | undefined) => (age === undefined ? undefined : NOW - age);
  return { now: NOW, fetchedAt: at(ages.fetched), failedAt: at(ages.failed), fetchingSince: at(ages.fetching) };
}

test.each([
  ["no keys yet", {}, "fetch", "fetch"],
  ["fresh keys", { fetched: UNKNOWN_PAUSE - 1 }, "use", "use"],
  ["fresh keys, fetched long enough ago for an unknown key", { fetched: UNKNOWN_PAUSE }, "use", "fetch"],
  ["keys that are no longer fresh", { fetched: FRESH }, "fetch", "fetch"],
  ["the same, while they are fetched", { fetched: FRESH, fetching: FETCH_TIME }, "use", "wait"],
  ["the same, if nothing is heard of the fetch any more", { fetched: FRESH, fetching: GONE }, "fetch", "fetch"],
  ["the same, in the pause after a failure", { fetched: FRESH, failed: FAILURE_PAUSE - 1 }, "use", "unavailable"],
  ["the same, after the pause", { fetched: FRESH, failed: FAILURE_PAUSE }, "fetch", "fetch"],
  ["keys too old, while they are fetched", { fetched: TRUSTED, fetching: 0 }, "wait", "wait"],
  ["keys too old, in the pause after a failure", { fetched: TRUSTED, failed: 0 }, "unavailable", "unavailable"],
  ["no keys, in the pause after a failure", { failed: 0 }, "unavailable", "unavailable"],
])("%s", (_name, ages, ofKnown, ofUnknown) => {
  expect([decideKeySet(facts(ages), false).kind, decideKeySet(facts(ages), true).kind]).toEqual([ofKnown, ofUnknown]);
});

test("keys are never used beyond their time, nothing is fetched beside a fetch or in a pause, and a pause ends", () => {
  const age = fc.option(fc.nat(2 * TRUSTED), { nil: undefined });
  fc.assert(
    fc.property(fc.record({ fetched: age, failed: age, fetching: age }), fc.boolean(), ({ fetched, failed, fetching }, isUnknown) => {
      const ages = Object.fromEntries(Object.entries({ fetched, failed, fetching }).filter(([, value]) => value !== undefined));
      const decision = decideKeySet(facts(ages), isUnknown);
      if (decision.kind === "use") expect(fetched ?? TRUSTED).toBeLessThan(TRUSTED);
      if (decision.kind === "fetch") {
        expect(fetching ?? GONE).toBeGreaterThanOrEqual(GONE);
        expect(failed ?? FAILURE_PAUSE).toBeGreaterThanOrEqual(FAILURE_PAUSE);
      }
      if (decision.kind === "unavailable") {
        const then = facts(ages);
        expect(decideKeySet({ ...then, now: then.now + decision.retryAfterMs }, isUnknown).kind).toBe("fetch");
      }
    }),
    { seed: SEED },
  );
});
