/** Event types as an app might have them, with three kinds of schemas. */
import * as v from "valibot";
import { z } from "zod";
import { defineEventTypes, type StandardSchema } from "../../shared/event/event-types.ts";

/** Written by hand, and answers a promise. */
const text: StandardSchema<{ text: string }> = {
  "~standard": {
    version: 1,
    vendor: "by hand",
    validate: async (value) => {
      await Promise.resolve();
      const isText = typeof value === "object" && value !== null && "text" in value && typeof value.text === "string";
      return isText ? { value } : { issues: [{ message: "A comment has a text.", path: [{ key: "text" }] }] };
    },
  },
};

export const eventTypes = defineEventTypes({
  PermitRequested: {
    version: 3,
    schema: v.object({ channel: v.picklist(["web", "desk"]), lines: v.array(v.object({ pages: v.number() })) }),
    upcast: {
      1: (data: { via: string }) => ({ channel: data.via }),
      2: (data: { channel: string }) => ({ ...data, lines: [] }),
    },
  },
  PermitGranted: { version: 1, schema: z.object({ until: z.string() }) },
  Commented: { version: 1, schema: text },
  Noted: { version: 1 },
});

export const requested = (channel = "web") => ({ type: "PermitRequested", data: { channel, lines: [{ pages: 2 }] } });
