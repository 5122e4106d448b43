/**
 * Times as text: ISO 8601 with a zone, and only times that exist. Everything that reads a time from outside checks it here or in
 * `zoned-time.ts`, so a device, the edge and an import accept the same times. `Date.parse` alone is no check: it reads "Permit 7" as July
 * 2001, it reads a time without a zone in the zone of the machine, and engines disagree about 30 February.
 */

/** The second, whose form `exists` checks, and up to nine digits of a fraction. */
const UTC_TIME = /^(\d.{18})(\.\d{1,9})?Z$/;

/** Whether `value` is a time in UTC that exists, ending in `Z`. No minute has a second 60, and no day an hour 24. */
export function isUtcTime(value: unknown): value is string {
  return typeof value === "string" && exists(UTC_TIME.exec(value)?.[1]);
}

/** @param second e.g. `2026-01-31T09:30:00`. If it does not exist, `Date` reads another second, or none. */
export function exists(second = ""): boolean {
  return new Date(`${second}Z`).toJSON()?.slice(0, 19) === second;
}
