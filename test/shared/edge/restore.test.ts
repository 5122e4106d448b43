import fc from "fast-check";
import { expect, test } from "vitest";
import { alreadyStaged, decideRestored } from "../../../shared/edge/restore.ts";
import type { RecordedContent } from "../../../shared/event/recorded.ts";
import { SEED } from "../../support/seed.ts";

const recorded = (n: number): RecordedContent => ({
  id: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  type: "Noted",
  schemaVersion: 1,
  data: { n },
  metadata: {},
  occurredAt: "2026-01-01T00:00:00.000Z",
  recordedAt: "2026-01-01T00:00:01.000Z",
  actor: "ann",
});
const events = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => recorded(from + i));
/** A stream at a version is given the versions from `first` to `last`. */
const decide = (version: number, first: number, last: number, given = events(first, last)) =>
  decideRestored(version, first, given, events(first, Math.min(version, last)));

test("a part is stored, taken from the first new version on, or asked for from further back", () => {
  expect(decide(3, 2, 5)).toEqual({ kind: "take", from: 4 });
  expect(decide(3, 2, 3)).toEqual({ kind: "stored" });
  expect(decide(3, 4, 5)).toEqual({ kind: "take", from: 4 });
  expect(decide(3, 5, 6)).toEqual({ kind: "gap", version: 3 });
  expect(decide(0, 1, 1)).toEqual({ kind: "take", from: 1 });
  expect(decide(3, 1, 0)).toEqual({ kind: "stored" });
});

test("the first event that differs is named with its field, whatever comes after it", () => {
  const given = [recorded(2), { ...recorded(3), actor: "eve" }, { ...recorded(4), data: 1 }, recorded(5)];
  expect(decide(4, 2, 5, given)).toEqual({ kind: "differs", version: 3, field: "actor" });
  expect(decide(3, 1, 3, [recorded(1), recorded(2), { ...recorded(3), recordedAt: "2026-01-02T00:00:00Z" }])).toEqual({
    kind: "differs",
    version: 3,
    field: "recordedAt",
  });
});

test("the order of keys in data and metadata makes no difference", () => {
  const one = { ...recorded(1), data: { a: 1, b: [{ c: 2, d: 3 }] }, metadata: { x: 1, y: 2 } };
  const other = { ...recorded(1), data: { b: [{ d: 3, c: 2 }], a: 1 }, metadata: { y: 2, x: 1 } };
  expect(decideRestored(1, 1, [one], [other])).toEqual({ kind: "stored" });
});

test("parts in any order and any number of times give the whole stream once", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 8 }))),
      (last, parts) => {
        let version = 0;
        for (const [first, count] of [...parts, [1, last] as const]) {
          const end = Math.min(last, first + count - 1);
          const decision = decide(version, first, end);
          if (decision.kind === "take") {
            expect(decision.from).toBe(version + 1);
            version = end;
          } else expect(decision.kind).toBe(first > version + 1 ? "gap" : "stored");
        }
        expect(version).toBe(last);
      },
    ),
    { seed: SEED },
  );
});

test("the log leaves out what it has staged, and asks for what is missing", () => {
  expect(alreadyStaged(40, 31, 20)).toBe(10);
  expect(alreadyStaged(40, 31, 10)).toBe(10);
  expect(alreadyStaged(40, 11, 10)).toBe(10);
  expect(alreadyStaged(40, 41, 10)).toBe(0);
  expect(alreadyStaged(0, 1, 10)).toBe(0);
  expect(alreadyStaged(40, 42, 10)).toBeUndefined();
});
