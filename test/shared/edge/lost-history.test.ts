import { expect, test } from "vitest";
import { isSameEnd, lostHistory } from "../../../shared/edge/lost-history.ts";

const MARKS = ["0", "a", "b", "c"];
const markAt = (position: number) => MARKS[position];
const AT_2 = { log: "one", head: 2, mark: "b" };

test.each([
  ["nothing is remembered", null, 3, null],
  ["the log has it, and more", AT_2, 3, null],
  ["the log has it", AT_2, 2, null],
  ["a log of another id has the same events in the same order", { ...AT_2, log: "other" }, 3, null],
  ["the log ends before", AT_2, 1, AT_2],
  ["the log is empty", AT_2, 0, AT_2],
  ["the log has other events there", { ...AT_2, mark: "x" }, 3, { ...AT_2, mark: "x" }],
  ["a log of another id has other events there", { log: "other", head: 2, mark: "x" }, 3, { log: "other", head: 2, mark: "x" }],
])("%s", (_, remembered, head, lost) => {
  expect(lostHistory(remembered, head, markAt)).toEqual(lost);
});

test("what can't be read can't be compared", () => {
  expect(lostHistory(AT_2, 3, () => undefined)).toBeUndefined();
});

test("ends are the same if they are of the same log, equally far, and with the same mark", () => {
  expect([isSameEnd(null, null), isSameEnd(AT_2, { ...AT_2 })]).toEqual([true, true]);
  for (const other of [null, { ...AT_2, log: "other" }, { ...AT_2, head: 3 }, { ...AT_2, mark: "x" }]) {
    expect([isSameEnd(AT_2, other), isSameEnd(other, AT_2)]).toEqual([false, false]);
  }
});
