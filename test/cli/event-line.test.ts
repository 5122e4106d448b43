import { expect, test } from "vitest";
import { parseLine } from "../../cli/event-line.ts";

const line = (rest: string) => `{"stream":"A-1","type":"A"${rest}}`;

test("a line of another system, with everything that it may have", () => {
  const text =
    '{"stream":"A-1","type":"A","time":"2026-01-31T09:30:00.266000+02:00","actor":"ann","data":{"x":-0.0},"metadata":{"by":1},"id":"i","schemaVersion":2}';
  expect(parseLine(text, 7)).toEqual({
    number: 7,
    streamId: "A-1",
    version: undefined,
    event: {
      id: "i",
      schemaVersion: 2,
      type: "A",
      data: { x: -0 },
      metadata: { by: 1, actor: "ann" },
      occurredAt: "2026-01-31T07:30:00.266Z",
    },
  });
});

test("a line of export or tail keeps its time as it is, and its actor is not taken over", () => {
  const recorded = {
    ...{ id: "i", streamId: "A-1", version: 3, position: 17, type: "A", schemaVersion: 1, data: null, metadata: { by: "app" } },
    ...{ occurredAt: "2026-01-31T09:30:00.5Z", recordedAt: "2026-01-31T09:30:01.000Z", actor: "bob" },
  };
  expect(parseLine(JSON.stringify(recorded), 1)).toMatchObject({
    version: 3,
    event: { metadata: { by: "app" }, occurredAt: "2026-01-31T09:30:00.5Z" },
  });
});

test.each([
  ["a name and a number", "Permit 7"],
  ["a week", "week 12"],
  ["a date of no standard", "05/01/2026"],
  ["no zone", "2026-01-05 10:00"],
  ["no zone in ISO 8601", "2026-01-05T10:00:00"],
  ["a date", "2026-01-05"],
  ["30 February", "2026-02-30T10:00:00Z"],
  ["a number", 1767607200000],
  ["nothing", null],
])("a time that is %s is refused, with its place", (_, time) => {
  const given = JSON.stringify(time);
  const remedy = "write a time that exists, in ISO 8601 with a zone, e.g. 2026-01-31T09:30:00Z.";
  expect(() => parseLine(line(`,"time":${given}`), 3)).toThrow(`line 3 has an invalid time, ${given}, at column 28: ${remedy}`);
  expect(() => parseLine(line(`,"occurredAt":${given}`), 3)).toThrow(`line 3 has an invalid time, ${given}, at column 28: ${remedy}`);
});

test.each([
  [',"payload":{"x":1}', 'has an unknown name, "payload", at column 28: rename it to "data".'],
  [',"timestamp":"2026-01-05T10:00:00Z"', 'has an unknown name, "timestamp", at column 28: rename it to "time".'],
  [',"Data":1', 'has an unknown name, "Data", at column 28: rename it to "data".'],
  [',"data":1,"payload":1', 'has an unknown name, "payload", at column 37: put it into "data" or "metadata", or leave it out.'],
  [',"color":"red"', 'has an unknown name, "color", at column 28: put it into "data" or "metadata", or leave it out.'],
  [',"__proto__":1', 'has an unknown name, "__proto__", at column 28: put it into "data" or "metadata", or leave it out.'],
  [',"data":1, "data":2', 'has "data" twice, the second time at column 38: leave one of them out.'],
  [',"streamId":"A-1"', 'has "stream" besides "streamId" at column 2: leave one of them out.'],
  [',"metadata":"by ann"', 'has "metadata" that is text at column 28: write it as an object.'],
  [',"metadata":[1]', 'has "metadata" that is not an object at column 28: write it as an object.'],
  [',"actor":7', 'has an "actor" that is not text at column 28: write it as text, or put it into "metadata".'],
  [',"actor":"a","metadata":{"actor":"b"}', 'has an "actor" besides another one in "metadata" at column 28: leave one of them out.'],
  [',"version":0', "has an invalid version, 0, at column 28: write a whole number from 1, or leave it out."],
  [
    ',"data":{"list":[1,9007199254740993]}',
    "has a number that would change at column 46: data.list[1] is 9007199254740993, which would change to 9007199254740992: write it as a string.",
  ],
  [',"data":12345678901234567890', "data is 12345678901234567890, which would change to 12345678901234567000: write it as a string."],
  [',"data":1,', 'is not valid JSON at column 37: "}" can\'t be here.'],
  [',"data":NaN', 'is not valid JSON at column 35: "N" can\'t be here.'],
])("a line with %s is refused", (rest, message) => {
  expect(() => parseLine(line(rest), 2)).toThrow(`line 2 ${message.startsWith("data is") ? "has a number that would change" : message}`);
  expect(() => parseLine(line(rest), 2)).toThrow(message);
});

test("a line that ends too early, or is no object, is refused", () => {
  expect(() => parseLine('{"stream":"A-1","ty\r', 2)).toThrow("line 2 is not valid JSON at column 20: the line ends too early.");
  for (const text of ["[]", "7", "null"]) expect(() => parseLine(text, 2)).toThrow("line 2 is not a JSON object: write one event a line.");
});
