/** Options of an app, checked, and what a device fills in. */
import type { EventDefaults } from "../shared/commit.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import { isOrdinal } from "../shared/order.ts";

/** @throws InvalidRequestError for anything but a whole number from 1, or nothing */
export function parseCount(value: unknown, field: string): number | undefined {
  if (value === undefined) return undefined;
  if (!isOrdinal(value) || value === 0) throw new InvalidRequestError(`${field} is a whole number from 1.`, { field });
  return value;
}

/** What an event that is made here and now gets where the app leaves it out. */
export function newEvents(): EventDefaults {
  return { newId: () => crypto.randomUUID(), occurredAt: new Date().toISOString() };
}
