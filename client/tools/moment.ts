import { InvalidRequestError } from "../../shared/errors.ts";

/** Milliseconds since 1970-01-01 UTC. @throws InvalidRequestError if `time` is not a time that `Date.parse` reads */
export function momentOf(time: string, field: string): number {
  const moment = Date.parse(time);
  if (Number.isNaN(moment)) throw new InvalidRequestError(`${field}: expected a time in ISO 8601, e.g. 2026-01-31T09:30:00Z.`, { field });
  return moment;
}
