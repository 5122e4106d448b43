/** Of which part of the store a device's rows are demanded. */
import { expect, test } from "vitest";
import type { Scope } from "../../../shared/device/replica.ts";
import { toPosition, toVersion } from "../../../shared/order.ts";
import type { Observation } from "./observation.ts";
import { ProjectionChecker } from "./projections.ts";
import { violationOf } from "./violation.ts";

const PART: Scope = ["Ticket", "Stock"];
/** The device holds an event of another category, and has no row of it. */
const NO_ROWS: Observation = {
  kind: "rows",
  device: "A",
  rows: [],
  confirmed: [
    {
      id: "1",
      streamId: "Permit-1",
      version: toVersion(1),
      position: toPosition(1),
      type: "Noted",
      schemaVersion: 1,
      data: {},
      metadata: {},
      occurredAt: "2026-01-01T00:00:00.000Z",
      recordedAt: "2026-01-01T00:00:00.000Z",
      actor: null,
    },
  ],
  pending: [],
};
const WRONG = "A: there are 0 rows, and 2 are due";

const violation = (observations: readonly Observation[]) => violationOf(new ProjectionChecker(), observations);

test("rows of all events are demanded of a device that follows all of the store", () => {
  expect(violation([opened(null), follows(null), NO_ROWS])).toBe(WRONG);
  expect(violation([opened(PART), follows(PART), opened(null), follows(null), NO_ROWS])).toBe(WRONG);
});

test("nothing is demanded while a tab opens the store with another filter, nor if it can't", () => {
  expect(violation([opened(PART), follows(PART), opened(null), NO_ROWS])).toBe(undefined);
  expect(violation([opened(null), follows(null), opened(PART), NO_ROWS])).toBe(undefined);
});

test("a tab that can't open its store is forgotten when a later one does", () => {
  expect(violation([opened(PART), opened(null), follows(null), NO_ROWS])).toBe(WRONG);
});

test("a tab that opens the store faster does not hide the one before it", () => {
  expect(violation([opened(null), opened(PART), follows(null), NO_ROWS])).toBe(undefined);
});

function opened(scope: Scope): Observation {
  return { kind: "opened", device: "A", store: "main", scope };
}

function follows(scope: Scope): Observation {
  return { kind: "follows", device: "A", scope };
}
