/** What the definition of an event type accepts. */
import * as option from "../options.ts";
import type { EventTypeDefinition } from "./event-types.ts";
import { isStandardSchema } from "./standard-schema.ts";

export const EVENT_TYPE_PARTS = {
  version: option.required(option.count),
  schema: { what: "a Standard Schema, see https://standardschema.dev", accepts: isStandardSchema },
  upcast: option.withPreset({ ...option.object, what: "an object with one upcaster for each older version" }, {}),
} satisfies option.OptionsOf<EventTypeDefinition>;
