/** What a device has lost, as it is decided and summed up. */
import { expect, test } from "vitest";
import { type Count, lossesFor, parseCounts, totalLoss, withDismissed, withLosses } from "../../../shared/device/loss.ts";

const count = (database: string, commits: number, more: Partial<Count> = {}): Count => ({
  database,
  commits,
  since: "2026-01-02T00:00:00.000Z",
  streamIds: ["Note-1"],
  person: null,
  ...more,
});
const NEW = { id: "new", losses: [] };

test("what was counted of another database is lost; what was counted of this one, and nothing, are not", () => {
  expect(withLosses(NEW, [count("old", 3), count("new", 2), count("older", 0)]).losses).toMatchObject([{ database: "old", commits: 3 }]);
  expect(withLosses(NEW, [count("new", 2)])).toBe(NEW);
});

test("two tabs that counted the same database report one loss: the greater count", () => {
  const once = withLosses(NEW, [count("old", 3)]);
  expect(withLosses(once, [count("old", 2)])).toBe(once);
  expect(withLosses(once, [count("old", 4)]).losses).toMatchObject([{ database: "old", commits: 4 }]);
});

test("a loss that was dismissed stays so, whoever reports it later, and another one does not", () => {
  const dismissed = withDismissed(withLosses(NEW, [count("old", 3)]), [count("old", 3)]);
  expect(lossesFor(withLosses(dismissed, [count("old", 5)]).losses, null)).toEqual([]);
  expect(lossesFor(withLosses(dismissed, [count("older", 1)]).losses, null)).toMatchObject([{ database: "older" }]);
});

test("what two tabs have counted of one database is joined: each may have heard of other commits", () => {
  const one = count("old", 3, { since: "2026-01-03T00:00:00.000Z", streamIds: ["A-1"] });
  const other = count("old", 2, { since: "2026-01-01T00:00:00.000Z", streamIds: ["B-1"] });
  const joined = { ...one, since: other.since, streamIds: ["A-1", "B-1"], isDismissed: false };
  const identity = withLosses(NEW, [one, other]);
  expect(identity.losses).toEqual([joined]);
  expect(withLosses(identity, [other, one])).toBe(identity);
});

test("a database remembers the newest twenty losses", () => {
  let identity = withLosses(NEW, []);
  for (let n = 1; n <= 25; n++) identity = withLosses(identity, [count(`old-${n}`, n)]);
  expect(identity.losses.map(({ commits }) => commits)).toEqual(Array.from({ length: 20 }, (_, i) => i + 6));
});

test("nobody is shown what another person has lost", () => {
  const losses = [count("a", 1, { person: "ann" }), count("b", 2, { person: "bob" }), count("c", 4)];
  expect(totalLoss(lossesFor(losses, "ann"))?.commits).toBe(5);
  expect(totalLoss(lossesFor(losses, null))?.commits).toBe(4);
});

test("losses are summed up: all commits, since the oldest, each stream once", () => {
  expect(totalLoss([])).toBeNull();
  const later = count("b", 2, { since: "2026-01-03T00:00:00.000Z", streamIds: ["Note-2", "Note-1"] });
  expect(totalLoss([later, count("a", 1), count("c", 1, { since: null })])).toEqual({
    commits: 4,
    since: "2026-01-02T00:00:00.000Z",
    streamIds: ["Note-2", "Note-1"],
  });
});

test("counts are read as they were written, and what others wrote is none", () => {
  const counts = [count("old", 3), count("new", 1, { person: "ann", since: null })];
  expect(parseCounts(JSON.stringify(counts))).toEqual(counts);
  expect(parseCounts(null)).toEqual([]);
  for (const text of ["", "{", "null", "7", '{"commits":3}', "[null,7]", '[{"database":7}]', '[{"database":"a","commits":-1}]']) {
    expect(parseCounts(text), text).toEqual([]);
  }
});
