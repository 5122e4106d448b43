/** The order of a device's commits in a stream, if its decider has refused one of them, and if the stream was put back and repaired. */
import { expect, test } from "vitest";
import type { Commit } from "../../../shared/event/commit.ts";
import { toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import { ConservationChecker } from "./conservation.ts";
import type { Observation, SeenEvent } from "./observation.ts";
import { violationOf } from "./violation.ts";

const LATE_BEHIND: Observation = {
  kind: "stream",
  device: "A",
  streamId: "Stock-1",
  events: [seen("A-2", 1), seen("A-1", 2)],
  conflicts: [],
};
const REFUSED: Observation = { kind: "undecided", device: "A", key: "A-1" };

const OPENED: Observation = { kind: "opened", device: "A", store: "main", scope: null };

const violation = (observations: readonly Observation[]) => violationOf(new ConservationChecker(), observations);

test("a commit may not stand behind one that was asked for after it was taken", () => {
  expect(violation([...made("A-1"), ...made("A-2"), LATE_BEHIND])).toBe(
    "A: the commit of A-1 to Stock-1 was made before A: the commit of A-2 to Stock-1, and stands behind it",
  );
});

test("a commit that its decider has refused on the device is parked, so a late copy of it may stand behind later ones", () => {
  expect(violation([...made("A-1"), REFUSED, ...made("A-2"), LATE_BEHIND])).toBe(undefined);
  expect(violation([...made("A-1"), ...made("A-2"), REFUSED, LATE_BEHIND])).toBe(undefined);
});

test("what the app has discarded was parked, so a late copy of it may stand behind later ones", () => {
  const discarded = (isDone: boolean): Observation => {
    const conflict = { streamId: "Stock-1", events: [bodyOf("A-1")], reason: "", shown: undefined };
    return { kind: "resolved", device: "A", conflict, how: "discard", isDone, isListed: !isDone };
  };
  expect(violation([...made("A-1"), ...made("A-2"), discarded(false), discarded(true), LATE_BEHIND])).toBe(undefined);
  expect(violation([...made("A-1"), ...made("A-2"), discarded(false), LATE_BEHIND])).toBe(undefined);
});

test("a refusal before the device has taken a commit excuses nothing", () => {
  expect(violation([REFUSED, ...made("A-1"), ...made("A-2"), LATE_BEHIND])).toContain("stands behind it");
});

test("what a stream took while it was put back may stand behind what was made on it, and nothing else may", () => {
  expect(
    violation([OPENED, putBack("damaged", "Stock-1"), ...made("A-1"), ...made("A-2"), putBack("repaired", "Stock-1"), LATE_BEHIND]),
  ).toBe(undefined);
  expect(
    violation([OPENED, putBack("damaged", "Stock-1"), putBack("repaired", "Stock-1"), ...made("A-1"), ...made("A-2"), LATE_BEHIND]),
  ).toContain("stands behind it");
  expect(violation([OPENED, putBack("damaged", "Stock-2"), ...made("A-1"), ...made("A-2"), LATE_BEHIND])).toContain("stands behind it");
});

function putBack(kind: "damaged" | "repaired", streamId: string): Observation {
  const at = { store: "main", fault: "delete-stream", streamId } as const;
  return kind === "damaged" ? { kind, ...at, events: [] } : { kind, ...at };
}

function made(key: string): readonly Observation[] {
  const commit: Commit = { streamId: parseStreamId("Stock-1"), expectedVersion: "any", events: [bodyOf(key)] };
  return [
    { kind: "called", device: "A", commit },
    { kind: "accepted", device: "A", commit, firstVersion: 1, version: 1, isDuplicate: false },
  ];
}

function seen(key: string, version: number): SeenEvent {
  return { body: bodyOf(key), version: toVersion(version), position: version, recordedAt: "2026-01-01T00:00:00.000Z", isPending: false };
}

function bodyOf(key: string): SeenEvent["body"] {
  return { id: key, type: "Taken", schemaVersion: 1, data: { key }, metadata: {}, occurredAt: "2026-01-01T00:00:00.000Z" };
}
