/** What a device fills in. */
import type { EventDefaults } from "../../shared/event/commit.ts";
import { newId } from "./new-id.ts";

/** What an event that is made here and now gets where the app leaves it out. */
export function newEvents(): EventDefaults {
  return { newId, occurredAt: new Date().toISOString() };
}
