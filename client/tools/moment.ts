import { InvalidRequestError } from "../../shared/errors.ts";

/** Milliseconds since 1970. @throws InvalidRequestError for a time that is none */
export function momentOf(time: string, field: string): number {
  const moment = Date.parse(time);
  if (Number.isNaN(moment)) throw new InvalidRequestError("A time is ISO 8601, e.g. 2026-01-31T09:30:00Z.", { field });
  return moment;
}
