import { expect, test } from "vitest";
import type { PendingEntry } from "../../../shared/device/outbox.ts";
import { judgePush, nextPush } from "../../../shared/device/push.ts";
import type { ExpectedVersion } from "../../../shared/expected-version.ts";
import { toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import type { PushResult } from "../../../shared/wire/wire.ts";

function entry(seq: number, stream: string): PendingEntry {
  return {
    state: "pending",
    seq,
    streamId: parseStreamId(stream),
    expectedVersion: "any",
    events: [],
    firstVersion: toVersion(1),
    confirmed: 0,
  };
}

const taken = (streamId: string, status: "committed" | "duplicate"): PushResult => ({
  status,
  streamId,
  firstVersion: 1,
  version: 1,
  position: null,
});

test("a push takes the oldest commits within every bound, and always at least one", () => {
  const items = ["A-1", "B-1", "A-1", "C-1"].map((stream, i) => ({ entry: entry(i + 1, stream), size: 10 }));
  const seqs = (bounds: Parameters<typeof nextPush>[1]) => nextPush(items, bounds).map((item) => item.entry.seq);
  expect(seqs({ commits: 9, streams: 9, size: 99 })).toEqual([1, 2, 3, 4]);
  expect(seqs({ commits: 2, streams: 9, size: 99 })).toEqual([1, 2]);
  expect(seqs({ commits: 9, streams: 2, size: 99 })).toEqual([1, 2, 3]);
  expect(seqs({ commits: 9, streams: 9, size: 25 })).toEqual([1, 2]);
  expect(seqs({ commits: 9, streams: 9, size: 1 })).toEqual([1]);
  expect(nextPush([], { commits: 9, streams: 9, size: 99 })).toEqual([]);
});

test("a push that has no room for more streams takes later commits of those that it has, in the order of each stream", () => {
  const streams = ["A-1", "B-1", "C-1", "A-1", "C-1", "B-1", "A-1"];
  const items = streams.map((stream, i) => ({ entry: entry(i + 1, stream), size: 10 }));
  const seqs = (bounds: Parameters<typeof nextPush>[1]) => nextPush(items, bounds).map((item) => item.entry.seq);
  expect(seqs({ commits: 9, streams: 2, size: 99 })).toEqual([1, 2, 4, 6, 7]);
  expect(seqs({ commits: 4, streams: 2, size: 99 })).toEqual([1, 2, 4, 6]);
  expect(seqs({ commits: 9, streams: 1, size: 99 })).toEqual([1, 4, 7]);
  // Nothing is taken behind one that is too large: the push is full.
  expect(seqs({ commits: 9, streams: 2, size: 35 })).toEqual([1, 2, 4]);
});

test("no commit goes before the one that caused it, nor before an earlier one of its stream", () => {
  const having = (seq: number, stream: string, id: string, causationId?: string): PendingEntry => {
    const metadata = causationId === undefined ? {} : { causationId };
    const event = { id, type: "E", schemaVersion: 1, data: null, metadata, occurredAt: "2026-01-01T00:00:00Z" };
    return { ...entry(seq, stream), events: [event] };
  };
  const entries = [
    having(1, "A-1", "a"),
    having(2, "B-1", "b"),
    having(3, "A-1", "because of b", "b"),
    having(4, "C-1", "because of that", "because of b"),
    having(5, "A-1", "after it"),
  ];
  const seqs = (from: readonly PendingEntry[], streams: number) =>
    nextPush(
      from.map((each) => ({ entry: each, size: 1 })),
      { commits: 9, streams, size: 99 },
    ).map((item) => item.entry.seq);
  expect(seqs(entries, 1)).toEqual([1]);
  expect(seqs(entries.slice(1), 1)).toEqual([2]);
  expect(seqs(entries.slice(2), 1)).toEqual([3, 5]);
  expect(seqs(entries, 2)).toEqual([1, 2, 3, 5]);
});

test("each commit is taken, contested or refused; what was skipped shares the fate of the one before it", () => {
  const entries = [entry(1, "A-1"), { ...entry(2, "B-1"), expectedVersion: 0 }, entry(3, "B-1"), entry(4, "C-1"), entry(5, "D-1")];
  const results: PushResult[] = [
    taken("A-1", "committed"),
    { status: "conflict", streamId: "B-1", code: "version-conflict", expectedVersion: 0, actualVersion: 4, detail: "" },
    { status: "skipped", streamId: "B-1" },
    { status: "rejected", streamId: "C-1", code: "event-id-reused", detail: "taken", field: undefined },
    taken("D-1", "duplicate"),
  ];
  const seqs = (some: readonly PendingEntry[]) => some.map(({ seq }) => seq);
  const { taken: took, contested, refused } = judgePush(entries, results);
  expect(seqs(took)).toEqual([1, 5]);
  // The feed will say who came first at B-1.
  expect(seqs(contested)).toEqual([2]);
  expect(refused).toMatchObject([{ entry: { seq: 4 }, reason: { code: "event-id-reused", message: "taken" } }]);
});

test("a conflict that nothing in the feed will explain is a refusal", () => {
  const conflict = (expectedVersion: ExpectedVersion, actualVersion: number): PushResult => ({
    status: "conflict",
    streamId: "A-1",
    code: "version-conflict",
    expectedVersion,
    actualVersion,
    detail: "",
  });
  for (const [expected, actual] of [
    ["stream-exists", 0],
    [5, 3],
  ] as const) {
    const { contested, refused } = judgePush([{ ...entry(1, "A-1"), expectedVersion: expected }], [conflict(expected, actual)]);
    expect(contested).toEqual([]);
    expect(refused).toMatchObject([{ entry: { seq: 1 }, reason: { code: "version-conflict", actualVersion: actual } }]);
  }
});

test("an answer that leaves a commit out is a broken promise", () => {
  expect(() => judgePush([entry(1, "A-1")], [])).toThrow("a result for each commit");
});
