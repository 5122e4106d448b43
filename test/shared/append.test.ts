import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideAppend, type RecordedBody } from "../../shared/append.ts";
import { type Commit, parseCommit } from "../../shared/event/commit.ts";
import type { EventBody } from "../../shared/event/event.ts";
import { type ExpectedVersion, expectationHolds } from "../../shared/expected-version.ts";
import { DEFAULT_LIMITS } from "../../shared/limits.ts";
import { toVersion } from "../../shared/order.ts";
import { SEED } from "../support/seed.ts";

const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
const body = (n: number, data: number = n): EventBody => ({
  id: idOf(n),
  type: "E",
  schemaVersion: 1,
  data,
  metadata: {},
  occurredAt: "2026-01-01T00:00:00Z",
});

function commit(events: readonly EventBody[], expectedVersion: ExpectedVersion = "any"): Commit {
  return parseCommit(
    { streamId: "S-1", expectedVersion, events },
    { newId: () => idOf(999), occurredAt: "2026-01-01T00:00:00Z" },
    DEFAULT_LIMITS,
  );
}

function decide(recorded: readonly EventBody[], next: Commit) {
  const ids = new Set(next.events.map((event) => event.id));
  const found = recorded.flatMap((event, i): [string, RecordedBody][] =>
    ids.has(event.id) ? [[event.id, { ...event, version: toVersion(i + 1) }]] : [],
  );
  return decideAppend({ version: toVersion(recorded.length), recorded: new Map(found) }, next);
}

describe("the table of appending", () => {
  const stream = [body(1), body(2), body(3)];
  test.each([
    ["all ids recorded, side by side, in order, same content", [body(2), body(3)], 99, { kind: "duplicate", firstVersion: 2, version: 3 }],
    [
      "the same with another time of occurrence",
      [{ ...body(1), occurredAt: "2026-02-02T00:00:00Z" }],
      0,
      { kind: "duplicate", firstVersion: 1, version: 1 },
    ],
    ["the same ids, other data", [body(1, 7)], "any", { kind: "refused", code: "event-id-reused", eventId: idOf(1) }],
    ["the same ids, other type", [{ ...body(1), type: "F" }], "any", { kind: "refused", code: "event-id-reused" }],
    ["the same ids, other schema version", [{ ...body(1), schemaVersion: 2 }], "any", { kind: "refused", code: "event-id-reused" }],
    ["the same ids, other metadata", [{ ...body(1), metadata: { a: 1 } }], "any", { kind: "refused", code: "event-id-reused" }],
    ["only some recorded", [body(3), body(4)], 3, { kind: "refused", code: "event-id-reused", eventId: idOf(3) }],
    ["only some recorded, a new one first", [body(4), body(1)], 3, { kind: "refused", code: "event-id-reused", eventId: idOf(1) }],
    ["scattered", [body(1), body(3)], "any", { kind: "refused", code: "event-id-reused" }],
    ["in another order", [body(2), body(1)], "any", { kind: "refused", code: "event-id-reused" }],
    ["expected version holds", [body(4), body(5)], 3, { kind: "append", firstVersion: 4, version: 5 }],
    ["expected version does not hold", [body(4)], 2, { kind: "refused", code: "version-conflict", expectedVersion: 2, actualVersion: 3 }],
    [
      "no-stream on a stream",
      [body(4)],
      "no-stream",
      { kind: "refused", code: "version-conflict", expectedVersion: "no-stream", actualVersion: 3 },
    ],
    ["stream-exists on a stream", [body(4)], "stream-exists", { kind: "append", firstVersion: 4, version: 4 }],
  ] as const)("%s", (_, events, expected, decision) => {
    expect(decide(stream, commit(events, expected))).toMatchObject(decision);
  });

  test("an id twice within the commit is an invalid request", () => {
    expect(() => commit([body(1), body(1)])).toThrow(expect.objectContaining({ code: "invalid-request", field: "events[1].id" }));
  });
});

test("whatever the history and the commits: versions are dense, ids stand once, nothing recorded changes", () => {
  const expectation = fc.oneof(fc.constantFrom<ExpectedVersion>("any", "no-stream", "stream-exists"), fc.integer({ min: 0, max: 12 }));
  // Few ids and few contents, so that commits repeat, overlap and contradict one another.
  const event = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 1 }));
  const fresh = fc.record({ expected: expectation, events: fc.uniqueArray(event, { minLength: 1, maxLength: 4, selector: ([id]) => id }) });
  const retry = fc.record({ expected: expectation, again: fc.nat() });
  fc.assert(
    fc.property(fc.array(fc.oneof(fresh, retry), { maxLength: 30 }), (steps) => {
      const stream: EventBody[] = [];
      const taken: { commit: Commit; firstVersion: number }[] = [];
      for (const step of steps) {
        const earlier = "again" in step ? taken[step.again % Math.max(1, taken.length)] : undefined;
        if ("again" in step && earlier === undefined) continue;
        const next =
          "again" in step
            ? commit(earlier?.commit.events ?? [], step.expected)
            : commit(
                step.events.map(([id, data]) => body(id, data)),
                step.expected,
              );
        const before = structuredClone(stream);
        const decision = decide(stream, next);
        const repeats = next.events.some(({ id }) => stream.some((recorded) => recorded.id === id));
        if (decision.kind === "append") {
          expect(repeats).toBe(false);
          expect(expectationHolds(step.expected, toVersion(stream.length))).toBe(true);
          expect(decision.firstVersion).toBe(stream.length + 1);
          stream.push(...next.events);
          expect(decision.version).toBe(stream.length);
          taken.push({ commit: next, firstVersion: decision.firstVersion });
        } else if (decision.kind === "duplicate") {
          expect(stream.slice(decision.firstVersion - 1, decision.version)).toEqual(next.events);
        } else if (decision.code === "version-conflict") {
          expect(repeats).toBe(false);
          expect(expectationHolds(step.expected, toVersion(stream.length))).toBe(false);
        } else {
          expect(repeats).toBe(true);
        }
        if (earlier !== undefined) expect(decision).toMatchObject({ kind: "duplicate", firstVersion: earlier.firstVersion });
        expect(stream.slice(0, before.length)).toEqual(before);
        expect(new Set(stream.map(({ id }) => id)).size).toBe(stream.length);
      }
    }),
    { seed: SEED, numRuns: 1000 },
  );
});
