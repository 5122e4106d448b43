import { expect, test } from "vitest";
import { decidePage, isBehind, isWithin, NEW_REPLICA, nextPage, pageQuery, type Replica } from "../../../shared/device/replica.ts";
import { emptyReplica, firstCopyOf, isSameCopy } from "../../../shared/device/same-copy.ts";
import { isCovered, scopeOfFilters, scopeWith, withScope } from "../../../shared/device/scope.ts";
import { toPosition, toVersion } from "../../../shared/order.ts";
import type { FeedPage } from "../../../shared/wire/wire.ts";

const event = (position: number, streamId: string) => ({
  id: `id-${position}`,
  streamId,
  version: toVersion(1),
  position: toPosition(position),
  type: "E",
  schemaVersion: 1,
  data: null,
  metadata: {},
  occurredAt: "2026-01-01T00:00:00Z",
  recordedAt: "2026-01-01T00:00:00Z",
  actor: null,
});

const page = (position: number, head: number, ...events: FeedPage["events"]): FeedPage => ({
  log: "log",
  events,
  position,
  head,
  mark: `m${position}`,
});
const at = (position: number, more: Partial<Replica> = {}): Replica => ({
  ...NEW_REPLICA,
  authority: "edge",
  log: "log",
  position,
  mark: `m${position}`,
  head: position,
  ...more,
});

function apply(replica: Replica, given: FeedPage) {
  const decision = decidePage(replica, given, nextPage(replica));
  if (decision.kind === "stale") throw new Error("stale");
  return decision;
}

test("a page moves the cursor from where it was asked for, and from nowhere else", () => {
  const asked = nextPage(at(3));
  expect(decidePage(at(3), page(5, 9, event(4, "A-1")), asked)).toMatchObject({
    kind: "apply",
    replica: { position: 5, mark: "m5", head: 9 },
    events: [{ position: 4 }],
  });
  expect(decidePage(at(4), page(5, 9), asked)).toEqual({ kind: "stale" });
  expect(decidePage(at(3, { log: "another" }), page(5, 9), asked)).toEqual({ kind: "stale" });
  expect(decidePage(withScope(at(3, { scope: ["B"] }), ["B", "A"]), page(5, 9), asked)).toEqual({ kind: "stale" });
});

test("every page is asked for with the log and the mark of the cursor, also where older events are filled in", () => {
  expect(pageQuery(NEW_REPLICA, nextPage(NEW_REPLICA), 10)).toEqual({ after: 0, limit: 10 });
  expect(pageQuery(at(7), nextPage(at(7)), 10)).toEqual({ after: 7, limit: 10, log: "log", mark: "m7" });
  const wider = withScope(at(7, { scope: ["A"] }), ["A", "B-1"]);
  expect(pageQuery(wider, nextPage(wider), 10)).toEqual({ after: 0, limit: 10, log: "log", mark: "m7", seen: 7, within: ["B-1"] });
  const long = at(7, { scope: Array.from({ length: 1_000 }, (_, i) => `Category${i}`) });
  expect(pageQuery(long, nextPage(long), 10)).not.toHaveProperty("within", expect.anything());
});

test("what comes to a scope is filled in up to the cursor, page by page, before the feed goes on", () => {
  let replica = withScope(at(7, { scope: ["A"] }), ["A", "B"]);
  const first = apply(replica, page(4, 9, event(2, "B-1"), event(3, "A-1")));
  expect(first.events.map(({ position }) => position)).toEqual([2]);
  replica = first.replica;
  expect(replica).toMatchObject({ position: 7, backfills: [{ within: ["B"], position: 4, upTo: 7 }] });
  // Beyond the cursor it is the feed's turn.
  const second = apply(replica, page(9, 9, event(5, "B-1"), event(8, "B-1")));
  expect(second.events.map(({ position }) => position)).toEqual([5]);
  expect(second.replica).toMatchObject({ position: 7, backfills: [] });
  expect(nextPage(second.replica)).toMatchObject({ after: 7, within: ["A", "B"], isBackfill: false });
});

test("a device is behind until a page ends at the head that it names, and everything is filled in", () => {
  const backfills = [{ within: ["B"], position: 3, upTo: 5 }];
  expect(isBehind(NEW_REPLICA)).toBe(false);
  expect(isBehind(at(5, { head: 7 }))).toBe(true);
  expect(isBehind(at(7, { head: 7 }))).toBe(false);
  expect(isBehind(at(7, { head: 7, backfills }))).toBe(true);
});

test("a scope covers categories and streams by their names; narrower, or before the first contact, nothing is filled in", () => {
  expect(["A-1", "A", "B-1", "B-2"].map((id) => isWithin(["A", "B-1"], id))).toEqual([true, true, true, false]);
  expect(isWithin(null, "Anything-1")).toBe(true);
  expect(withScope(NEW_REPLICA, ["A"])).toMatchObject({ scope: ["A"], backfills: [] });
  expect(withScope(at(7, { scope: ["A", "B"] }), ["A"])).toMatchObject({ scope: ["A"], backfills: [] });
  expect(withScope(at(7), ["A"])).toMatchObject({ scope: ["A"], backfills: [] });
  expect(withScope(at(7, { scope: ["A"] }), null)).toMatchObject({ scope: null, backfills: [{ within: null, position: 0, upTo: 7 }] });
});

test("what was let go of is not continued, also where it is fetched again", () => {
  const reset = emptyReplica(at(5, { scope: ["A"] }));
  expect(reset).toMatchObject({ log: null, position: 0, mark: null, scope: ["A"], authority: at(5).authority });
  expect(isSameCopy(at(5), at(7))).toBe(true);
  expect(isSameCopy(at(5), { ...at(7), resets: reset.resets })).toBe(false);
});

test("two databases begin with copies of their own", () => {
  const [a, b] = [firstCopyOf("0000000a-0000-4000-8000-000000000000"), firstCopyOf("ffffffff-0000-4000-8000-000000000000")];
  expect([a, b]).toEqual([10, 4_294_967_295]);
  expect(isSameCopy({ resets: a }, { resets: b })).toBe(false);
});

test("the scope of several filters covers each of them, and keeps streams that were followed by their id", () => {
  expect(scopeOfFilters(["Note", "Ticket-1"], [["Permit"], ["Note", "Permit"]])).toEqual(["Permit", "Note", "Ticket-1"]);
  expect(scopeOfFilters(["Note"], [["Permit"], null])).toBeNull();
});

test("a scope with more covers what it did, and that", () => {
  expect(scopeWith(["Permit"], ["Permit-1", "Ticket", "Note-1"])).toEqual(["Permit", "Ticket", "Note-1"]);
  expect(scopeWith(["Permit"], null)).toBeNull();
  expect(scopeWith(null, ["Permit"])).toBeNull();
});

test.each<[readonly string[] | null, readonly string[] | null, boolean]>([
  [null, null, true],
  [null, ["Permit"], true],
  [["Permit"], null, false],
  [["Permit"], ["Permit", "Permit-1"], true],
  [["Permit-1"], ["Permit"], false],
  [["Permit"], ["Permit", "Ticket"], false],
])("whether the scope %j covers the filter %j: %j", (scope, filter, expected) => {
  expect(isCovered(scope, filter)).toBe(expected);
});
