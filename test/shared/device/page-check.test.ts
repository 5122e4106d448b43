import { expect, test } from "vitest";
import { damageOf } from "../../../shared/device/page-check.ts";
import { pageDigestOf } from "../../../shared/event/digest.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { markAfter, START_MARK } from "../../../shared/mark.ts";
import { toPosition, toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import type { FeedPage } from "../../../shared/wire/wire.ts";

const idOf = (position: number) => `018f3c5e-0000-7000-8000-${String(position).padStart(12, "0")}`;
const markAt = (position: number) =>
  markAfter(
    START_MARK,
    Array.from({ length: position }, (_, i) => idOf(i + 1)),
  );

function event(position: number): ConfirmedEvent {
  return {
    id: idOf(position),
    streamId: parseStreamId("A-1"),
    version: toVersion(position),
    position: toPosition(position),
    type: "E",
    schemaVersion: 1,
    data: position,
    metadata: {},
    occurredAt: "2026-01-01T00:00:00.000Z",
    recordedAt: "2026-01-01T00:00:00.000Z",
    actor: null,
  };
}

function page(positions: readonly number[], position: number): FeedPage {
  const events = positions.map(event);
  return { log: "l", events, position, head: 9, mark: markAt(position), digest: pageDigestOf(events) };
}

const AT_2 = { position: 2, mark: markAt(2) };
const NEXT = { after: 2, isBackfill: false };
const MARKS_DIFFER = /are not those of the edge's log/;
const DIGESTS_DIFFER = /have changed since the edge digested them/;

test.each<[string, FeedPage, Parameters<typeof damageOf>[0], Parameters<typeof damageOf>[2], RegExp | undefined]>([
  ["all events", page([3, 4], 4), AT_2, NEXT, undefined],
  ["no event, at the head", page([], 2), AT_2, NEXT, undefined],
  ["some events, as a part of the store has them", page([4], 6), AT_2, NEXT, undefined],
  ["of an edge that makes no digests", { ...page([3], 3), digest: undefined }, AT_2, NEXT, undefined],
  ["of an edge that makes no marks", { ...page([3], 3), mark: undefined }, AT_2, NEXT, undefined],
  ["the first one", page([1, 2], 2), { position: 0, mark: null }, { after: 0, isBackfill: false }, undefined],
  ["after a page that had no mark", { ...page([3], 3), mark: START_MARK }, { position: 2, mark: null }, NEXT, undefined],
  ["after a page whose mark is none", { ...page([3], 3), mark: START_MARK }, { position: 2, mark: "m" }, NEXT, undefined],
  ["of a backfill, at the same position", { ...page([3], 3), mark: START_MARK }, AT_2, { after: 2, isBackfill: true }, undefined],
  ["another history", { ...page([3], 3), mark: markAt(4) }, AT_2, NEXT, MARKS_DIFFER],
  ["another history from the start", page([1], 1), { position: 0, mark: null }, { after: 0, isBackfill: false }, undefined],
  ["no event, and another mark", { ...page([], 2), mark: markAt(3) }, AT_2, NEXT, MARKS_DIFFER],
  ["another event's data", { ...page([3], 3), events: [{ ...event(3), data: 4 }] }, AT_2, NEXT, DIGESTS_DIFFER],
  ["another actor", { ...page([3], 3), events: [{ ...event(3), actor: "ann" }] }, AT_2, NEXT, DIGESTS_DIFFER],
  ["another stream", { ...page([3], 3), events: [{ ...event(3), streamId: parseStreamId("A-2") }] }, AT_2, NEXT, DIGESTS_DIFFER],
  ["another position", { ...page([3], 4), events: [{ ...event(3), position: toPosition(4) }] }, AT_2, NEXT, DIGESTS_DIFFER],
  ["an event of a part that has changed", { ...page([4], 6), events: [{ ...event(4), data: 5 }] }, AT_2, NEXT, DIGESTS_DIFFER],
  [
    "backfilled events that have changed",
    { ...page([1], 1), events: [{ ...event(1), data: 5 }] },
    AT_2,
    { after: 0, isBackfill: true },
    DIGESTS_DIFFER,
  ],
])("a page of %s", (_, given, replica, request, message) => {
  const damage = damageOf(replica, given, request);
  if (message === undefined) return expect(damage).toBeUndefined();
  expect(damage).toMatchObject({ code: "storage-damaged", position: request.after + 1, message: expect.stringMatching(message) });
});
