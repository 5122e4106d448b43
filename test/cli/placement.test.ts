import { expect, test } from "vitest";
import { type CheckedLine, eventIdFor, Placement } from "../../cli/placement.ts";
import type { RecordedEvent } from "../../client/index.ts";
import { toPosition, toVersion } from "../../shared/order.ts";

const TIME = "2026-01-31T09:30:00Z";
const idOf = (name: string) => `00000000-0000-4000-8000-${name.charCodeAt(0).toString().padStart(12, "0")}`;

interface Given {
  /** With an id that is made of the name. */
  readonly id?: boolean;
  readonly time?: string | undefined;
  readonly version?: number;
}

/** The event of a name: the same name is the same content. */
function lineOf(name: string, number: number, { id = false, time = TIME, version }: Given = {}): CheckedLine {
  const content = { type: "A", data: name, metadata: {} };
  const own = { ...(id && { id: idOf(name) }), ...(time !== "" && { occurredAt: time }) };
  const body = { schemaVersion: 1, ...content, id: idOf(name), occurredAt: time };
  return { number, streamId: "A-1", version, size: 1, event: { ...content, ...own }, body };
}

/** @param names those in upper case have an id of an app, the others one of an import */
function stored(names: string, time = TIME): RecordedEvent[] {
  return [...names].map((name, i) => {
    const { event, body } = lineOf(name.toLowerCase(), 1, { time });
    const id = name === name.toLowerCase() ? eventIdFor("A-1", i + 1, event) : idOf(name.toLowerCase());
    const recording = { position: toPosition(i + 1), recordedAt: TIME, actor: null };
    return { ...body, ...recording, id, streamId: "A-1", version: toVersion(i + 1), occurredAt: TIME };
  });
}

/** E.g. `a b c3 d4`: a and b are there, c is appended as version 3. */
function place(events: readonly RecordedEvent[], lines: readonly CheckedLine[]): string {
  const placement = new Placement("A-1", events);
  for (const line of lines) placement.place(line);
  placement.settle();
  return lines.map((line) => `${line.event.type && line.body.data}${placement.place(line)?.version ?? ""}`).join(" ");
}

const linesOf = (names: string, given: Given = {}, from?: number) =>
  [...names].map((name, i) => lineOf(name, i + 1, { ...given, ...(from !== undefined && { version: from + i }) }));

test.each([
  ["a new stream", "", "abc", "a1 b2 c3"],
  ["the same file again", "abc", "abc", "a b c"],
  ["a file that has grown", "abc", "abcde", "a b c d4 e5"],
  ["the beginning of the file", "abc", "ab", "a b"],
  ["a part of the file again", "abcd", "bc", "b c"],
  ["a part that overlaps the end", "abcd", "cdef", "c d e5 f6"],
  ["the next part", "abc", "de", "d4 e5"],
  ["events that repeat, where most of them are there", "aab", "abc", "a b c4"],
])("lines without ids: %s", (_, inStore, inFile, placed) => {
  expect(place(stored(inStore), linesOf(inFile))).toBe(placed);
});

test("lines with neither ids nor times count from the beginning of the stream, or go on", () => {
  const time = "";
  expect(place(stored("abc", time), linesOf("abcd", { time }))).toBe("a b c d4");
  expect(place(stored("abc", time), linesOf("xa", { time }))).toBe("x4 a5");
});

test("of many equal events, each line costs little, and a line that fits none of the tried places is refused", () => {
  const time = "";
  const many = "a".repeat(3000);
  expect(place(stored(many, time), linesOf(`${many}b`, { time }))).toBe(`${many.split("").join(" ")} b3001`);
  expect(() => place(stored(many, time), linesOf(`${"a".repeat(200)}b`, { time }))).toThrow(
    "contradicts the store: A-1 is at version 3000",
  );
});

test.each([
  ["a new stream", "", "abc", 1, "a1 b2 c3"],
  ["the same file again", "ABC", "abc", 1, "a b c"],
  ["a file that has grown", "AB", "abcd", 1, "a b c3 d4"],
  ["the next part of an export", "AB", "cd", 3, "c3 d4"],
  ["a part that overlaps", "ABC", "bcde", 2, "b c d4 e5"],
  ["what tail wrote with a filter, again", "ABCDE", "bd", undefined, "b d"],
  ["a line twice in the file", "A", "abab", undefined, "a b2 a b"],
  ["events before it that the store lacks", "AB", "ef", 5, "e3 f4"],
])("lines with ids: %s", (_, inStore, inFile, from, placed) => {
  expect(place(stored(inStore), linesOf(inFile, { id: true }, from))).toBe(placed);
});

test.each([
  ["another beginning", "abc", linesOf("xbc"), "line 1 contradicts the store: A-1 is at version 3 there, with other events"],
  ["another event in the middle", "abc", linesOf("axc"), "line 2 contradicts the store: A-1 is at version 3 there, with other events"],
  ["events that an app appended", "X", linesOf("ab"), "line 1 contradicts the store: A-1 is at version 1 there, with other events"],
  ["an event of an app behind them", "aX", linesOf("ab"), "line 2 contradicts the store: A-1 is at version 2 there, with other events"],
  ["ids, and an event of an app behind them", "AX", linesOf("ab", { id: true }), "line 2 contradicts the store: A-1 is at version 2"],
  ["other events at the same versions", "XY", linesOf("ab", { id: true }, 1), "line 1 contradicts the store: A-1 is at version 2"],
  ["other ids, and no versions", "X", linesOf("a", { id: true }), "line 1 contradicts the store: A-1 is at version 1"],
  ["a later part before an earlier one", "CD", linesOf("ab", { id: true }, 1), "line 1 contradicts the store: A-1 is at version 2"],
])("%s is refused", (_, inStore, lines, message) => {
  expect(() => place(stored(inStore), lines)).toThrow(message);
});

test("events that differ by their ids alone are different events", () => {
  const [line] = linesOf("b", { id: true }, 2);
  if (line === undefined) throw new Error("there is one");
  const twin = { ...line, event: { ...line.event, data: "a" }, body: { ...line.body, data: "a" } };
  expect(place(stored("A"), [twin])).toBe("a2");
});

test("an id that belongs to another event is refused", () => {
  const [line] = linesOf("a", { id: true });
  if (line === undefined) throw new Error("there is one");
  const changed = { ...line, body: { ...line.body, data: "other" } };
  expect(() => place(stored("A"), [changed])).toThrow(
    `line 1 contradicts the store: another event of A-1 has the id ${idOf("a")} already.`,
  );
  expect(() => place([], [line, { ...changed, number: 2 }])).toThrow("line 2 contradicts the store: another event of A-1 has the id");
});
