/** Times with any zone, for what is not recorded as it is written. A module of its own, because the client's first chunk has no use for it. */
import { exists } from "./time.ts";

const TIME = /^(\d.{18})(?:\.(\d{1,9}))?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Milliseconds since 1970-01-01 UTC; further digits are left out. Undefined if `value` is not a time with a zone, or does not exist. */
export function parseTime(value: unknown): number | undefined {
  const [, second, fraction = "", zone] = (typeof value === "string" && TIME.exec(value)) || [];
  // All engines read three digits of a fraction.
  return exists(second) ? Date.parse(`${second}.${fraction.slice(0, 3).padEnd(3, "0")}${zone}`) : undefined;
}

/** The same time in UTC, with three digits of a fraction, or more if they are not zeros. Undefined as in `parseTime`. */
export function toUtc(value: unknown): string | undefined {
  const milliseconds = parseTime(value);
  if (milliseconds === undefined) return undefined;
  const finer = TIME.exec(String(value))?.[2]?.slice(3).replace(/0+$/, "") ?? "";
  return `${new Date(milliseconds).toISOString().slice(0, -1)}${finer}Z`;
}
