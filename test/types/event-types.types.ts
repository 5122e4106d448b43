/** What the types of event types guarantee. Code that must not compile has a `@ts-expect-error`. Checked by `npm run types`. */
import * as v from "valibot";
import { z } from "zod";
import { connectStore } from "../../client/http.ts";
import type { NewEvent, RecordedEvent } from "../../shared/event/event.ts";
import { defineEventTypes, type EventOf, isEventOf, upcastEvents } from "../../shared/event/event-types.ts";
import type { Json } from "../../shared/json.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const isTrue = <T extends true>(): T | undefined => undefined;

const eventTypes = defineEventTypes({
  PermitRequested: {
    version: 2,
    schema: v.object({ channel: v.string(), pages: v.optional(v.number()) }),
    upcast: { 1: (data: { via: string }) => ({ channel: data.via }) },
  },
  PermitGranted: { version: 1, schema: z.object({ until: z.string() }) },
  Commented: { version: 1 },
});

type Known = EventOf<typeof eventTypes>;
isTrue<Equal<Known["type"], "PermitRequested" | "PermitGranted" | "Commented">>();
isTrue<Equal<Extract<Known, { type: "PermitRequested" }>["data"], { channel: string; pages?: number | undefined }>>();
isTrue<Equal<Extract<Known, { type: "PermitGranted" }>["data"], { until: string }>>();
isTrue<Equal<Extract<Known, { type: "Commented" }>["data"], Json>>();

export function told(event: Known): string {
  switch (event.type) {
    case "PermitRequested":
      return `${event.streamId}@${event.version} ${event.data.channel}`;
    case "PermitGranted":
      // @ts-expect-error: that is said of a request
      return event.data.channel;
    case "Commented":
      return JSON.stringify(event.data);
    // @ts-expect-error: no such type
    case "PermitLost":
      return "";
    default:
      return event satisfies never;
  }
}

/** Where a reader hands over events of any type, a guard tells the known ones. */
export function channelOf(event: RecordedEvent): string | undefined {
  // @ts-expect-error: not known yet
  void event.data.channel;
  if (!isEventOf(eventTypes, event) || event.type !== "PermitRequested") return undefined;
  isTrue<Equal<(typeof event)["type"], "PermitRequested">>();
  return event.data.channel;
}

/** What is stored is what was handed over: not what a schema would make of it. */
const counted = defineEventTypes({
  Counted: { version: 1, schema: v.object({ pages: v.pipe(v.string(), v.transform(Number)) }) },
});
isTrue<Equal<EventOf<typeof counted>["data"], { pages: string }>>();

export const granted: EventOf<typeof eventTypes, NewEvent> = { type: "PermitGranted", data: { until: "2027-01-01" } };
// @ts-expect-error: until is a text
export const wrong: EventOf<typeof eventTypes, NewEvent> = { type: "PermitGranted", data: { until: 2027 } };

upcastEvents(eventTypes, [] as RecordedEvent[]).events satisfies readonly RecordedEvent[];
connectStore({ url: "", eventTypes, onUnknownEvent: ({ position }) => position });

// @ts-expect-error: what an app writes goes through defineEventTypes first
connectStore({ url: "", eventTypes: { Commented: { version: 1 } } });
// @ts-expect-error: each type has a version
defineEventTypes({ Commented: {} });
// @ts-expect-error: a schema is one of Standard Schema
defineEventTypes({ Commented: { version: 1, schema: { type: "object" } } });
defineEventTypes({
  Commented: {
    version: 2,
    upcast: {
      // @ts-expect-error: nothing is known of the data of an older version but what the app says
      1: (data) => data.text,
    },
  },
});
// @ts-expect-error: an upcaster is a function
defineEventTypes({ Commented: { version: 2, upcast: { 1: { text: "" } } } });
