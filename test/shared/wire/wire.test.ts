import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_CODES, errorOf, HeadwaterError, problemOf } from "../../../shared/errors.ts";
import * as wire from "../../../shared/wire/wire.ts";
import { jsonSchema } from "../../../worker/routes/json-schema.ts";

/** One line for each version of the protocol. A hash that differs is a changed wire: is it one that an older side misreads? */
const HASHES: Readonly<Record<number, string>> = {
  1: "4205d3a0db632807",
};

test("the wire is what its version says", () => {
  const { appendRequest, appendAnswer, pushRequest, pushAnswer, streamPage, streamList, feedPage, storeHealth, problemDocument } = wire;
  const schemas = [appendRequest, appendAnswer, pushRequest, pushAnswer, streamPage, streamList, feedPage, storeHealth, problemDocument];
  const text = JSON.stringify(schemas.map((schema) => jsonSchema(schema)));
  expect(createHash("sha256").update(text).digest("hex").slice(0, 16)).toBe(HASHES[wire.PROTOCOL_VERSION]);
});

test("every error survives the wire with its class, code, sentence and details", () => {
  for (const code of ERROR_CODES) {
    const details = {
      field: "events[0]",
      streamId: "Permit-1",
      expectedVersion: "no-stream" as const,
      actualVersion: 3,
      version: 4,
      position: 17,
      log: "l",
      head: 9,
      retryAfter: 2,
    };
    const error = errorOf(code, "A sentence.", details);
    expect(error).toBeInstanceOf(HeadwaterError);
    const back = wire.errorFromProblem(JSON.parse(JSON.stringify({ status: 400, ...problemOf(error), unknown: { to: "this side" } })));
    expect(back).toBeInstanceOf(error.constructor);
    expect(back).toMatchObject({ code, message: "A sentence.", details: error.details });
  }
  for (const other of [null, "text", {}, { code: "of-the-future" }]) expect(wire.errorFromProblem(other)).toBeUndefined();
});

test("an answer that does not match its schema is told by its field, and unknown fields are ignored", () => {
  const page = { log: "l", events: [], position: 0, head: 0 };
  expect(wire.parseFeedPage({ ...page, later: 1 })).toEqual(page);
  expect(wire.parseFeedPage({ ...page, mark: "m" })).toEqual({ ...page, mark: "m" });
  for (const [field, value] of [
    ["log", 1],
    ["events", {}],
    ["position", -1],
    ["mark", 1],
    ["head", 1.5],
    ["head", 2 ** 53],
  ] as const) {
    expect(() => wire.parseFeedPage({ ...page, [field]: value })).toThrow(expect.objectContaining({ field }));
  }
  expect(() => wire.parseFeedPage({ ...page, events: [{ id: "x" }] })).toThrow(
    expect.objectContaining({ field: expect.stringMatching(/^events\.0\./) }),
  );
});

const { appendRequest, pushRequest, appendAnswer, pushAnswer, streamPage, streamList, feedPage, storeHealth } = wire;
const SCHEMAS = { appendRequest, pushRequest, appendAnswer, pushAnswer, streamPage, streamList, feedPage, storeHealth };

/** Messages of version 1, of clients and of edges, also of those that told no marks yet. They stay as they are. */
const RECORDED: Readonly<Record<string, readonly object[]>> = JSON.parse(readFileSync(new URL("wire-1.json", import.meta.url), "utf8"));

/** With a field of the future in each object. */
function withLater(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withLater);
  if (typeof value !== "object" || value === null) return value;
  return { ...Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withLater(item)])), later: { than: "today" } };
}

test("a request that does not match is refused with a sentence that says which field, and why", () => {
  const refusals = [
    [{ events: {} }, "events must be Array, not Object."],
    [{}, "events is missing."],
    [[], "events is missing."],
    [null, "body must be Object, not null."],
  ] as const;
  for (const [request, message] of refusals) expect(() => wire.parseAppendRequest(request)).toThrow(message);
  const push = { commits: [], position: -1 };
  expect(() => wire.parsePushRequest(push)).toThrow(
    expect.objectContaining({ field: "position", message: "position must be a whole number from 0, not -1." }),
  );
});

test("messages that were recorded of an earlier version are understood, and so are those of a later one", () => {
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    const parse = (message: unknown) => wire.parseMessage<unknown>(schema, message);
    const messages = RECORDED[name] ?? [];
    expect(messages.length).toBeGreaterThan(0);
    for (const message of messages) {
      const read = parse(message);
      expect(read).toMatchObject(message);
      expect(parse({ ...message, later: 1 })).toEqual(read);
      expect(() => parse(withLater(message))).not.toThrow();
    }
  }
});
