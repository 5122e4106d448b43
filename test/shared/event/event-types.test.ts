import fc from "fast-check";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { InvalidRequestError } from "../../../shared/errors.ts";
import type { EventBody } from "../../../shared/event/event.ts";
import { assertAccepted, completeVersions, questionsOf } from "../../../shared/event/event-checks.ts";
import {
  defineEventTypes,
  isEventOf,
  type StandardSchema,
  UpcastError,
  upcastEvent,
  upcastEvents,
} from "../../../shared/event/event-types.ts";
import { eventTypes } from "../../support/event-types.ts";
import { SEED } from "../../support/seed.ts";

const body = (type: string, schemaVersion: number, data: EventBody["data"]): EventBody => ({
  id: "00000000-0000-4000-8000-000000000001",
  type,
  schemaVersion,
  data,
  metadata: { correlationId: "c" },
  occurredAt: "2026-01-01T00:00:00Z",
});

function deepFrozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.freeze(value);
    Object.values(value).forEach(deepFrozen);
  }
  return value;
}

const same = (data: unknown) => data;
const wrong = (definitions: unknown) => () => defineEventTypes(definitions as Parameters<typeof defineEventTypes>[0]);

describe("what is defined", () => {
  test.each<[string, unknown, string, string]>([
    ["no upcaster of a version", { A: { version: 3, upcast: { 1: same } } }, "A has version 3 but no upcast[2]", "eventTypes.A.upcast[2]"],
    ["no upcaster at all", { A: { version: 2 } }, "no upcast[1]", "eventTypes.A.upcast[1]"],
    ["one that is inherited", { A: { version: 2, upcast: Object.create({ 1: same }) } }, "no upcast[1]", "eventTypes.A.upcast[1]"],
    ["one that is no function", { A: { version: 2, upcast: { 1: {} } } }, "no upcast[1]", "eventTypes.A.upcast[1]"],
    [
      "one of the current version",
      { A: { version: 1, upcast: { 1: same } } },
      "A has upcast[1], but its version is 1",
      "eventTypes.A.upcast[1]",
    ],
    ["a list of them", { A: { version: 2, upcast: [same, same] } }, "one upcaster for each older version", "eventTypes.A.upcast"],
    ["no version", { A: {} }, "whole number from 1", "eventTypes.A.version"],
    ["a version of zero", { A: { version: 0 } }, "whole number from 1", "eventTypes.A.version"],
    ["half a version", { A: { version: 1.5 } }, "whole number from 1", "eventTypes.A.version"],
    ["a schema that is none", { A: { version: 1, schema: { type: "object" } } }, "Standard Schema", "eventTypes.A.schema"],
    ["a misspelt part", { A: { version: 1, scheme: v.string() } }, "eventTypes.A.scheme is not an option here", "eventTypes.A.scheme"],
    ["nothing for a type", { A: null }, "A must be an object", "eventTypes.A"],
    ["a type without a name", { "": { version: 1 } }, "is not a valid event type", "eventTypes."],
    ["a type as the prototype", { __proto__: { version: 1 } }, "own keys", "eventTypes"],
  ])("refused: %s", (_, definitions, sentence, field) => {
    expect(wrong(definitions)).toThrow(InvalidRequestError);
    expect(wrong(definitions)).toThrow(expect.objectContaining({ field, message: expect.stringContaining(sentence) }));
  });

  test("names that every object has are types like any other, and none if nobody registered them", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    const none = defineEventTypes({});
    for (const name of names) {
      expect(upcastEvent(none, body(name, 1, 1))).toEqual({ event: body(name, 1, 1), isKnown: false });
      expect(() => questionsOf(none, [body(name, 1, 1)], "known")).toThrow(expect.objectContaining({ field: "events[0].type" }));
      const one = defineEventTypes({ [name]: { version: 2, upcast: { 1: (data: number) => data + 1 } } });
      expect([...one.keys()]).toEqual([name]);
      expect(upcastEvent(one, body(name, 1, 1))).toMatchObject({ event: { data: 2, schemaVersion: 2 }, isKnown: true });
    }
  });

  test("what is changed afterwards changes nothing", () => {
    const definition = { version: 2, upcast: { 1: () => "then" } };
    const types = defineEventTypes({ A: definition });
    definition.version = 3;
    definition.upcast[1] = () => "now";
    expect(upcastEvent(types, body("A", 1, 0)).event).toMatchObject({ schemaVersion: 2, data: "then" });
  });
});

describe("what is read", () => {
  test("an event of an older version becomes a new one of the current version, and stays as it was", () => {
    const recorded = deepFrozen({ ...body("PermitRequested", 1, { via: "web" }), version: 3, pending: false });
    const { event, isKnown } = upcastEvent(eventTypes, recorded);
    expect(event).toEqual({ ...recorded, schemaVersion: 3, data: { channel: "web", lines: [] } });
    expect([isKnown, event === recorded, recorded.data]).toEqual([true, false, { via: "web" }]);
  });

  test.each<[string, EventBody, boolean]>([
    ["of the current version", body("PermitRequested", 3, { any: "data" }), true],
    ["of a type that has one version", body("Noted", 1, null), true],
    ["of an unknown type", body("Lost", 1, { a: 1 }), false],
    ["of a newer version", body("PermitRequested", 4, { a: 1 }), false],
  ])("an event %s passes on as it is", (_, recorded, isKnown) => {
    const read = upcastEvent(eventTypes, recorded);
    expect([read.event === recorded, read.isKnown]).toEqual([true, isKnown]);
    expect(isEventOf(eventTypes, recorded)).toBe(isKnown);
  });

  test("of many events none is left out, and those that are not known are told", () => {
    const events = [body("Lost", 1, 1), body("PermitRequested", 2, { channel: "desk" }), body("Noted", 2, 3), body("Noted", 1, 4)];
    const read = upcastEvents(eventTypes, events);
    expect(read.events.map(({ schemaVersion, data }) => [schemaVersion, data])).toEqual([
      [1, 1],
      [3, { channel: "desk", lines: [] }],
      [2, 3],
      [1, 4],
    ]);
    expect(read.unknown).toEqual([events[0], events[2]]);
  });

  test.each<[string, (data: { a: number[] }, event: EventBody) => unknown]>([
    ["the data", (data) => Object.assign(data, { a: data.a.reverse() })],
    ["the metadata", (data, event) => [data, Object.assign(event.metadata, { correlationId: "other" })]],
    ["the event", (data, event) => [data, Object.assign(event, { id: "other", type: "other" })]],
  ])("an upcaster that changes %s it is handed changes a copy", (_, upcaster) => {
    const types = defineEventTypes({ A: { version: 2, upcast: { 1: upcaster } } });
    const recorded = deepFrozen(body("A", 1, { a: [1, 2] }));
    const first = upcastEvent(types, recorded).event;
    expect(first).toMatchObject({ id: recorded.id, type: "A", schemaVersion: 2, metadata: { correlationId: "c" } });
    expect(upcastEvent(types, recorded).event).toEqual(first);
  });

  test("each upcaster sees the event as of its version", () => {
    const seen: unknown[] = [];
    const upcaster = (data: number, event: EventBody) => {
      seen.push([data, event.data, event.schemaVersion]);
      return data + 1;
    };
    const types = defineEventTypes({ A: { version: 4, upcast: { 1: upcaster, 2: upcaster, 3: upcaster } } });
    expect(upcastEvent(types, body("A", 2, 20)).event.data).toBe(22);
    expect(seen).toEqual([
      [20, 20, 2],
      [21, 21, 3],
    ]);
  });

  test.each<[string, () => unknown, string]>([
    ["throws", () => JSON.parse("{"), "JSON"],
    ["answers nothing", () => undefined, "neither undefined nor a promise"],
    ["answers a promise", () => Promise.resolve({}), "neither undefined nor a promise"],
    ["answers a function", () => same, "neither undefined nor a promise"],
  ])("an upcaster that %s ends the reading with an error that names it", (_, fail, why) => {
    const types = defineEventTypes({ A: { version: 3, upcast: { 1: same, 2: fail } } });
    const recorded = body("A", 1, {});
    const read = () => upcastEvents(types, [body("A", 3, {}), recorded]);
    expect(read).toThrow(UpcastError);
    expect(read).toThrow(
      expect.objectContaining({
        name: "UpcastError",
        code: "invalid-request",
        field: "eventTypes.A.upcast[2]",
        schemaVersion: 2,
        event: recorded,
        details: expect.objectContaining({ eventId: recorded.id }),
        message: expect.stringMatching(new RegExp(`Event ${recorded.id} \\(A, version 2\\) .*${why}`)),
      }),
    );
  });

  test("from whatever version, an event takes the steps that it lacks, in their order", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 8 }), fc.nat(), fc.jsonValue(), (steps, seed, data) => {
        const version = steps.length + 1;
        const upcast = Object.fromEntries(steps.map((name, i) => [i + 1, (before: unknown) => [name, before]]));
        const types = defineEventTypes({ A: { version, upcast } });
        const from = (seed % version) + 1;
        const written = JSON.parse(JSON.stringify(data));
        const expected = steps.slice(from - 1).reduce<unknown>((before, name) => [name, before], written);
        const recorded = deepFrozen(body("A", from, written));
        expect(upcastEvent(types, recorded).event).toEqual({ ...recorded, schemaVersion: version, data: expected });
      }),
      { seed: SEED },
    );
  });
});

describe("what is appended", () => {
  const versions = (types: Parameters<typeof completeVersions>[0], ...events: unknown[]) =>
    (completeVersions(types, events) as { schemaVersion?: unknown }[]).map((event) => event?.schemaVersion);

  test("a version that is left out is the current one; one that is given stays", () => {
    const events = [
      { type: "PermitRequested" },
      { type: "PermitRequested", schemaVersion: 1 },
      { type: "Lost" },
      { type: 7 },
      null,
      "text",
    ];
    expect(versions(eventTypes, ...events)).toEqual([3, 1, undefined, undefined, undefined, undefined]);
    expect(completeVersions(eventTypes, "no list")).toBe("no list");
    expect(completeVersions(eventTypes, [null, 3])).toEqual([null, 3]);
  });

  test.each<[number, "current" | "known", boolean]>([
    [3, "current", true],
    [2, "current", false],
    [4, "current", false],
    [3, "known", true],
    [1, "known", true],
    [4, "known", false],
  ])("of a type at version 3, version %i where %s ones are taken: %s", (version, taken, isTaken) => {
    const ask = () => questionsOf(eventTypes, [body("Noted", 1, 1), body("PermitRequested", version, {})], taken, "commits[2].");
    if (isTaken) expect(ask()).toHaveLength(2);
    else {
      const sentence = new RegExp(`PermitRequested is registered with version 3, but this event has version ${version}: `);
      expect(ask).toThrow(
        expect.objectContaining({ field: "commits[2].events[1].schemaVersion", message: expect.stringMatching(sentence) }),
      );
    }
  });

  test("a type that nobody registered is refused", () => {
    expect(() => questionsOf(eventTypes, [body("PermitReqested", 1, 1)], "known")).toThrow(
      expect.objectContaining({
        code: "invalid-request",
        field: "events[0].type",
        message: expect.stringContaining("PermitReqested is not a registered event type"),
      }),
    );
  });

  const answerOf = async (schema: StandardSchema, data: EventBody["data"]) => {
    const event = body("A", 1, data);
    const questions = questionsOf(defineEventTypes({ A: { version: 1, schema } }), [event], "current");
    assertAccepted(await Promise.allSettled(questions.map(async (ask) => ask())), [event]);
  };
  const standard = (validate: (value: unknown) => unknown): StandardSchema => ({
    "~standard": { version: 1, vendor: "test", validate },
  });

  const shape = { channel: "string", lines: [{ pages: 2 }] };
  const byValibot = v.object({ channel: v.string("a text"), lines: v.array(v.object({ pages: v.number("a number") })) });
  const byZod = z.object({ channel: z.string("a text"), lines: z.array(z.object({ pages: z.number("a number") })) });
  const schemas: [string, StandardSchema][] = [
    ["valibot", byValibot],
    [
      "valibot, as a promise",
      v.objectAsync({
        ...byValibot.entries,
        channel: v.pipeAsync(
          v.string("a text"),
          v.checkAsync(async () => true),
        ),
      }),
    ],
    ["zod", byZod],
    ["zod, as a promise", byZod.refine(async () => true)],
  ];
  test.each(schemas)("%s: accepts, or is heard with its own message and place", async (_, schema) => {
    await answerOf(schema, shape);
    await expect(answerOf(schema, { ...shape, channel: 7 })).rejects.toMatchObject({
      code: "invalid-request",
      field: "events[0].data.channel",
      message: "events[0].data.channel does not match the schema of A: a text",
    });
    await expect(answerOf(schema, { ...shape, lines: [{ pages: 1 }, { pages: "2" }] })).rejects.toMatchObject({
      field: "events[0].data.lines[1].pages",
      message: "events[0].data.lines[1].pages does not match the schema of A: a number",
    });
    await expect(answerOf(schema, null)).rejects.toMatchObject({ field: "events[0].data" });
  });

  test.each<[string, StandardSchema, string]>([
    ["throws", standard(() => JSON.parse("{")), "the schema failed: SyntaxError"],
    ["rejects", standard(() => Promise.reject(new Error("no network"))), "the schema failed: Error: no network"],
    ["answers nothing", standard(() => undefined), "the schema returned no result"],
    ["answers no list of issues", standard(() => ({ issues: "yes" })), "the schema returned no message"],
    ["answers an empty list of issues", standard(() => ({ issues: [] })), "the schema returned no message"],
    ["names no place", standard(() => ({ issues: [{ message: "no" }] })), "no"],
  ])("a schema that %s accepts nothing", async (_, schema, why) => {
    await expect(answerOf(schema, {})).rejects.toMatchObject({ field: "events[0].data", message: expect.stringContaining(why) });
  });

  test("a schema that changes what it is asked of changes a copy", async () => {
    const data = deepFrozen({ list: [2, 1] });
    const sorting = z.custom<{ list: number[] }>().refine(({ list }) => list.sort());
    await answerOf(sorting, data);
    expect(data.list).toEqual([2, 1]);
  });

  test("data of an older version has no schema to hold to", async () => {
    const event = body("PermitRequested", 1, "anything");
    const questions = questionsOf(eventTypes, [event], "known");
    assertAccepted(await Promise.allSettled(questions.map(async (ask) => ask())), [event]);
  });
});
