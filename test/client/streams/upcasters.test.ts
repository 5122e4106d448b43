import * as v from "valibot";
import { expect, test } from "vitest";
import { type EventSample, replaySamples } from "../../../client/testing/upcasters.ts";
import { defineEventTypes } from "../../../shared/event/event-types.ts";
import { eventTypes } from "../../support/event-types.ts";

const SAMPLES: readonly EventSample[] = [
  { type: "PermitRequested", schemaVersion: 1, data: { via: "web" } },
  { type: "PermitRequested", schemaVersion: 2, data: { channel: "desk" } },
  { type: "PermitRequested", schemaVersion: 3, data: { channel: "desk", lines: [{ pages: 1 }] } },
  { type: "Commented", schemaVersion: 1, data: { text: "fine" } },
];

test("samples of every older version, that read as the schemas have it, replay", async () => {
  await replaySamples(eventTypes, SAMPLES);
  await replaySamples(defineEventTypes({ A: { version: 1 } }), []);
});

test("all that is wrong is told, a line for each", async () => {
  const samples: EventSample[] = [
    { type: "PermitRequested", schemaVersion: 1, data: { via: "phone" } },
    { type: "PermitRequested", schemaVersion: 4, data: {} },
    { type: "Lost", schemaVersion: 1, data: {} },
    { type: "Commented", schemaVersion: 1, data: {} },
    { type: "PermitRequested", schemaVersion: 1, data: null },
  ];
  const error = await replaySamples(eventTypes, samples).catch((reason: Error) => reason);
  expect(error?.message.split("\n")).toEqual([
    "The samples do not fit the event types:",
    expect.stringMatching(/^ {2}samples\[0\], PermitRequested of version 1: the schema of version 3 rejects data\.channel: .*"phone"/),
    "  samples[1], PermitRequested of version 4: the type is at version 3, which can't read it.",
    "  samples[2], Lost of version 1: the type is not registered. Add it to the event types.",
    "  samples[3], Commented of version 1: the schema of version 1 rejects data.text: A comment has a text.",
    expect.stringMatching(/^ {2}samples\[4\], PermitRequested of version 1: .* its upcaster failed: .*null/),
    "  there is no sample of PermitRequested of version 2. Add one.",
  ]);
});

test("an upcaster that answers otherwise each time is found", async () => {
  let calls = 0;
  const types = defineEventTypes({ A: { version: 2, schema: v.number(), upcast: { 1: () => calls++ } } });
  await expect(replaySamples(types, [{ type: "A", schemaVersion: 1, data: 0 }])).rejects.toThrow("different data each time");
});

test("a schema that fails accepts nothing", async () => {
  const validate = () => JSON.parse("{");
  const types = defineEventTypes({ A: { version: 1, schema: { "~standard": { version: 1, vendor: "test", validate } } } });
  await expect(replaySamples(types, [{ type: "A", schemaVersion: 1, data: 0 }])).rejects.toThrow("the schema failed: SyntaxError");
});
