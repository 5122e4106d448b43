import { InvalidRequestError } from "../../shared/errors.ts";
import { parseTime } from "../../shared/zoned-time.ts";

/** Milliseconds since 1970-01-01 UTC. @throws InvalidRequestError if `time` is not ISO 8601 with a zone, or does not exist */
export function momentOf(time: string, field: string): number {
  const moment = parseTime(time);
  if (moment !== undefined) return moment;
  throw new InvalidRequestError(`${field} must be a time in ISO 8601 with a zone, e.g. 2026-01-31T09:30:00Z.`, { field });
}
