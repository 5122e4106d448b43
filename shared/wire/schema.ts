/**
 * What the schemas of the wire are made of besides valibot's own, and how a message is checked.
 *
 * 1. A message that matches is copied with the fields that its schema names. Other fields are ignored, so that an older side
 *    understands a newer one.
 * 2. The check stops at the first field that does not match, in the order of the schema.
 * 3. Fields are looked up by the names in the schema, never by those in the message, so that a key such as `__proto__` stays inert.
 *    So no schema names a field that every object has, such as `constructor`.
 *
 * The message of a schema below says what it expects.
 */
import * as v from "valibot";
import { type ErrorCode, isErrorCode } from "../errors.ts";
import type { EventMetadata } from "../event/event.ts";
import { type ExpectedVersion, isExpectedVersion } from "../expected-version.ts";
import { isObject, type Json } from "../json.ts";
import { isOrdinal, type Position, type Version } from "../order.ts";

export const wholeNumber = v.custom<number>(isOrdinal, "a whole number from 0");
export const version = v.custom<Version>(isOrdinal, "a whole number from 0");
export const position = v.custom<Position>(isOrdinal, "a whole number from 0");
export const code = v.custom<ErrorCode>(isErrorCode, "an error code");
export const expectedVersion = v.custom<ExpectedVersion>(isExpectedVersion, "an expected version");
/** Neither walked through nor copied: it came out of JSON, and a page of the feed has a thousand of them. */
export const json = v.custom<Json>((value) => value !== undefined, "JSON");
/** Not walked through or copied either. */
export const metadata = v.custom<EventMetadata>((value) => isObject(value) && !Array.isArray(value), "an object");

/** A schema whose output is a `T`. */
export type Schema<T> = v.GenericSchema<unknown, T>;

/** The output is a copy of what the schema names; or there is one issue, with the path to what does not match. */
export function match<T>(schema: Schema<T>, value: unknown): v.SafeParseResult<Schema<T>> {
  return v.safeParse(schema, value, { abortEarly: true });
}
