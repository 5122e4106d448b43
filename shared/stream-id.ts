/** The ids of streams and stores. Both are parts of URLs and of the names of Durable Objects, so their alphabet is small. */
import { InvalidRequestError } from "./errors.ts";

/** A checked stream id: `Category-key`, e.g. `Permit-891`. */
export type StreamId = string & { readonly __brand: "StreamId" };

/** A checked store id. */
export type StoreId = string & { readonly __brand: "StoreId" };

const STREAM_ID = /^[A-Za-z][A-Za-z0-9._:~-]{0,254}$/;
const STORE_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * @throws InvalidRequestError if it is not 1–255 characters of `[A-Za-z0-9._:~-]` that start with a letter
 */
export function parseStreamId(value: unknown, field = "streamId"): StreamId {
  if (typeof value !== "string" || !STREAM_ID.test(value)) {
    const sentence = "A stream id must have 1 to 255 characters of A-Z a-z 0-9 . _ : ~ - and must start with a letter.";
    throw new InvalidRequestError(sentence, { field });
  }
  return value as StreamId;
}

/** @throws InvalidRequestError if it is not 1–63 characters of `[a-z0-9-]` that start with a letter or a digit */
export function parseStoreId(value: unknown, field = "store"): StoreId {
  if (typeof value !== "string" || !STORE_ID.test(value)) {
    const sentence = "A store id must have 1 to 63 characters of a-z 0-9 - and must start with a letter or a digit.";
    throw new InvalidRequestError(sentence, { field });
  }
  return value as StoreId;
}

/** The part of a stream id before the first `-`; the whole id if it has none. */
export function categoryOf(streamId: string): string {
  const dash = streamId.indexOf("-");
  return dash < 0 ? streamId : streamId.slice(0, dash);
}
