/** Names of streams and stores. Both stand in URLs and in the names of Durable Objects, hence the plain alphabet. */
import { InvalidRequestError } from "./errors.ts";

/** A checked stream id: `Category-key`, e.g. `Permit-891`. */
export type StreamId = string & { readonly __brand: "StreamId" };

/** A checked store id. */
export type StoreId = string & { readonly __brand: "StoreId" };

const STREAM_ID = /^[A-Za-z][A-Za-z0-9._:~-]{0,254}$/;
const STORE_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * @throws InvalidRequestError when it is not 1–255 characters of `[A-Za-z0-9._:~-]` that start with a letter.
 */
export function parseStreamId(value: unknown, field = "streamId"): StreamId {
  if (typeof value !== "string" || !STREAM_ID.test(value)) {
    throw new InvalidRequestError("A stream id is 1 to 255 characters of A-Z a-z 0-9 . _ : ~ - and starts with a letter.", { field });
  }
  return value as StreamId;
}

/** @throws InvalidRequestError when it is not 1–63 characters of `[a-z0-9-]` that start with a letter or a digit. */
export function parseStoreId(value: unknown, field = "store"): StoreId {
  if (typeof value !== "string" || !STORE_ID.test(value)) {
    throw new InvalidRequestError("A store id is 1 to 63 characters of a-z 0-9 - and starts with a letter or a digit.", { field });
  }
  return value as StoreId;
}

/** What stands before the first `-`; the whole id where there is none. */
export function categoryOf(streamId: string): string {
  const dash = streamId.indexOf("-");
  return dash < 0 ? streamId : streamId.slice(0, dash);
}
