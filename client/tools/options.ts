/** Values that the client fills in if the app leaves them out. */
import type { EventDefaults } from "../../shared/event/commit.ts";
import { newId } from "./new-id.ts";

/** Defaults for an event that is created now: a random id, and the current time as `occurredAt`. */
export function newEvents(): EventDefaults {
  return { newId, occurredAt: new Date().toISOString() };
}
