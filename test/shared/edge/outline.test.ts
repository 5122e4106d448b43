import fc from "fast-check";
import { expect, test } from "vitest";
import { reachOf } from "../../../shared/edge/grants.ts";
import { Correlations, mayMatch, OUTLINED, Outliner, outlinedBlock, outlinedEnd } from "../../../shared/edge/outline.ts";
import { feedFilter } from "../../../shared/feed-filter.ts";
import type { FeedQuery } from "../../../shared/wire/wire.ts";
import { SEED } from "../../support/seed.ts";

const STREAMS = ["Permit", "Permit-1", "Permit-2", "Desk-1", "Note"];
const TYPES = ["Opened", "Closed", "Moved"];
const TIMES = ["2026-01-01T09:00:00.000Z", "2026-01-01T10:00:00.000Z", "2026-01-01T11:00:00.000Z"];
const CORRELATIONS = ["c-1", "c-2", "c-3"];

const events = fc.array(
  fc.record({
    streamId: fc.constantFrom(...STREAMS),
    id: fc.uuid(),
    type: fc.constantFrom(...TYPES),
    recordedAt: fc.constantFrom(...TIMES),
    metadata: fc.constantFrom({}, ...CORRELATIONS.map((correlationId) => ({ correlationId }))),
  }),
  { minLength: 1, maxLength: 4 },
);

const some = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
const query: fc.Arbitrary<FeedQuery> = fc.record({
  category: some(["Permit", "Desk", "Other"]),
  stream: some([...STREAMS, "Other-1"]),
  within: some(["Permit", "Desk-1", "Other"]),
  type: some([...TYPES, "Other"]),
  correlation: some([...CORRELATIONS, "c-4"]),
  since: some(TIMES),
  until: some(TIMES),
});
const reaches = fc
  .subarray(["*", "Permit-*", "Permit-1", "Desk*", "Note"])
  .map((streams) => reachOf([{ store: "s", streams, can: ["read"] }], "read", "s"));

function outlinedOf(
  block: readonly { readonly streamId: string; readonly id: string; readonly type: string; readonly recordedAt: string }[],
) {
  const outliner = new Outliner();
  for (const { streamId, ...event } of block) outliner.add(streamId, { metadata: {}, ...event });
  // As it is read back from the storage.
  const correlations = Correlations.from(outliner.correlations().toBytes().slice().buffer);
  return { outline: outliner.outline(), correlations };
}

test("rows belong to the block in which they end", () => {
  expect([1, OUTLINED, OUTLINED + 1, 2 * OUTLINED].map(outlinedBlock)).toEqual([0, 0, 1, 1]);
  expect([outlinedEnd(0), outlinedEnd(1)]).toEqual([OUTLINED, 2 * OUTLINED]);
});

test("no block with an event that a reader gets is passed over", () => {
  fc.assert(
    fc.property(events, query, reaches, (block, asked, reach) => {
      const { outline, correlations } = outlinedOf(block);
      const filter = feedFilter(asked);
      const isGot = block.some(
        (event) =>
          reach.some(([from, to]) => event.streamId >= from && event.streamId < to) &&
          filter.stream(event.streamId) &&
          (filter.content?.(event) ?? true),
      );
      const may = mayMatch(outline, () => correlations, filter, reach);
      if (isGot) expect(may).toBe(true);
    }),
    { seed: SEED, numRuns: 3000 },
  );
});

const [first, second, third] = ["09", "10", "11"].map((hour) => `2026-01-01T${hour}:00:00.000Z`) as [string, string, string];
const BLOCK = outlinedOf([
  { streamId: "Permit-1", id: "00000000-0000-4000-8000-000000000001", type: "Opened", recordedAt: second },
  { streamId: "Permit-2", id: "00000000-0000-4000-8000-000000000002", type: "Closed", recordedAt: second },
]);
const EVERYTHING = reachOf([{ store: "s", streams: ["*"], can: ["read"] }], "read", "s");

test.each<[FeedQuery, boolean]>([
  [{}, true],
  [{ type: "Opened" }, true],
  [{ type: "Moved" }, false],
  [{ category: "Permit" }, true],
  [{ category: "Desk" }, false],
  [{ stream: "Permit-3" }, true],
  [{ stream: "Desk-1" }, false],
  [{ within: ["Desk", "Permit-3"] }, true],
  [{ within: ["Desk", "Note-1"] }, false],
  [{ correlation: "00000000-0000-4000-8000-000000000002" }, true],
  [{ correlation: "00000000-0000-4000-8000-000000000003" }, false],
  [{ since: second, until: second }, true],
  [{ since: third }, false],
  [{ until: first }, false],
])("a block of permits that were opened and closed at ten, asked for %j: %s", (asked, may) => {
  expect(mayMatch(BLOCK.outline, () => BLOCK.correlations, feedFilter(asked), EVERYTHING)).toBe(may);
});

test("a block is passed over if the reader may see none of its categories", () => {
  const may = (...streams: string[]) =>
    mayMatch(BLOCK.outline, () => undefined, feedFilter({}), reachOf([{ store: "s", streams, can: ["read"] }], "read", "s"));
  expect([may("Permit-*"), may("Permit-9"), may("P*"), may("Desk-*"), may("Permi")]).toEqual([true, true, true, false, false]);
});

test("a block with too many names is never passed over for them, and correlations that can't be read match all", () => {
  const outliner = new Outliner();
  for (let i = 0; i < 101; i++) {
    const id = crypto.randomUUID();
    outliner.add(`C${i}-1`, { id, type: `T${i}`, metadata: {}, recordedAt: null });
  }
  const may = (asked: FeedQuery) => mayMatch(outliner.outline(), () => undefined, feedFilter(asked), EVERYTHING);
  expect([may({ type: "Other" }), may({ category: "Other" }), may({ correlation: "c" })]).toEqual([true, true, true]);
  expect(may({ since: first })).toBe(false);
});
