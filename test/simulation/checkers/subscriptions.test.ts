/** The order in which a device hands over events to a named subscription, if it crashes and its log is replaced. */
import { expect, test } from "vitest";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { toPosition, toVersion } from "../../../shared/order.ts";
import type { Observation } from "./observation.ts";
import { SubscriptionChecker } from "./subscriptions.ts";
import { violationOf } from "./violation.ts";

const A1 = confirmed("a", 1);
const B1 = confirmed("b", 1);
const A2 = confirmed("a", 2);

const OPENED: Observation = { kind: "opened", device: "A", store: "main", scope: null };
const CRASHED: Observation = { kind: "crashed", device: "A" };
const WIPED = replaced("main");
const IN_THE_END: Observation = { kind: "subscription", device: "A", position: 2, deadLetters: [], events: [B1, A2] };

const FORMER = [OPENED, handed(A1)];
const PRESENT = [handed(B1), handed(A2), IN_THE_END];

const WRONG = "A: a at #2 was handed over before b at #1 was handled";

const violation = (observations: readonly Observation[]) => violationOf(new SubscriptionChecker(), observations);

test("a device that a crash has made forget a replaced history gets the new one in the new order", () => {
  expect(violation([...FORMER, CRASHED, WIPED, ...PRESENT])).toBe(undefined);
  expect(violation([...FORMER, WIPED, CRASHED, ...PRESENT])).toBe(undefined);
});

test("a crash alone, a replaced log alone, and another store's excuse no wrong order", () => {
  expect(violation([...FORMER, CRASHED, ...PRESENT])).toBe(WRONG);
  expect(violation([...FORMER, WIPED, ...PRESENT])).toBe(WRONG);
  expect(violation([...FORMER, CRASHED, replaced("other"), ...PRESENT])).toBe(WRONG);
});

test("a wrong order after the crash is found, whenever the log was replaced", () => {
  expect(violation([...FORMER, CRASHED, WIPED, handed(A2), handed(B1), IN_THE_END])).toBe(WRONG);
  expect(violation([OPENED, CRASHED, handed(A2), WIPED, handed(B1), IN_THE_END])).toBe(WRONG);
});

function handed(event: ConfirmedEvent): Observation {
  return { kind: "handed", device: "A", event, isHandled: true };
}

function replaced(store: string): Observation {
  return { kind: "replaced", store, part: "log", before: [], unpublished: [], copiedAt: null, head: 0 };
}

function confirmed(id: string, position: number): ConfirmedEvent {
  return {
    id,
    streamId: `Permit-${id}`,
    version: toVersion(1),
    position: toPosition(position),
    type: "Noted",
    schemaVersion: 1,
    data: {},
    metadata: {},
    occurredAt: "2026-01-01T00:00:00.000Z",
    recordedAt: "2026-01-01T00:00:00.000Z",
    actor: null,
  };
}
