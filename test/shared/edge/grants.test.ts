import fc from "fast-check";
import { expect, test } from "vitest";
import {
  EVERYTHING,
  intersection,
  isEverything,
  isReached,
  namedStreamsOf,
  parseGrants,
  reachOf,
  reachOfCategory,
} from "../../../shared/edge/grants.ts";
import { categoryOf } from "../../../shared/stream-id.ts";
import { SEED } from "../../support/seed.ts";

const id = fc.stringMatching(/^[AB][AB.:~-]{0,4}$/);
const pattern = fc.oneof(
  id,
  id.map((text) => `${text}*`),
  fc.constant("*"),
);

/** As the rule is told to people. */
function matches(text: string, streamId: string): boolean {
  return text.endsWith("*") ? streamId.startsWith(text.slice(0, -1)) : streamId === text;
}

test("a stream is in reach where some grant of the store names it, itself or by its beginning, for the action", () => {
  const grant = fc.record({
    store: fc.constantFrom("*", "mine", "other"),
    streams: fc.array(pattern, { maxLength: 4 }),
    can: fc.subarray(["read", "append", "administer"]),
  });
  fc.assert(
    fc.property(fc.array(grant, { maxLength: 4 }), fc.constantFrom("read" as const, "append" as const), id, (grants, action, streamId) => {
      const granted = grants.some(
        ({ store, streams, can }) => store !== "other" && can.includes(action) && streams.some((text) => matches(text, streamId)),
      );
      const reach = reachOf(parseGrants(grants), action, "mine");
      expect(isReached(reach, streamId)).toBe(granted);
      expect(namedStreamsOf(reach)?.includes(streamId) ?? granted).toBe(granted);
    }),
    { seed: SEED, numRuns: 3000 },
  );
});

test("what two reaches have in common is what both have", () => {
  fc.assert(
    fc.property(fc.array(pattern), id, id, (streams, category, streamId) => {
      const reach = reachOf([{ store: "*", streams, can: ["read"] }], "read", "mine");
      const both = intersection(reach, reachOfCategory(categoryOf(category)));
      expect(isReached(both, streamId)).toBe(isReached(reach, streamId) && categoryOf(streamId) === categoryOf(category));
    }),
    { seed: SEED, numRuns: 3000 },
  );
});

test("only a grant of all streams is everything", () => {
  const reach = (...streams: string[]) => reachOf([{ store: "*", streams, can: ["read"] }], "read", "mine");
  expect(isEverything(reach("*"))).toBe(true);
  expect(isEverything(reach("Permit-*", "*"))).toBe(true);
  expect(isEverything(EVERYTHING)).toBe(true);
  for (const streams of [["A*", "B*"], ["Permit-*"], ["Permit-1"], []]) expect(isEverything(reach(...streams))).toBe(false);
});

test.each([
  ["a grant that is no list", {}],
  ["a text", "*"],
  ["streams that are a text", [{ store: "*", streams: "*", can: ["read"] }]],
  ["no store", [{ streams: ["*"], can: ["read"] }]],
  ["a number among the streams", [{ store: "*", streams: [1], can: ["read"] }]],
  ["null", null],
])("%s grants nothing, and is refused", (_name, given) => {
  expect(() => parseGrants(given)).toThrow(expect.objectContaining({ code: "unauthenticated" }));
});
