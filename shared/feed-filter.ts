/** Which events of the feed a reader wants. Parts that are left out let everything pass; those given must all agree. */

import { InvalidRequestError } from "./errors.ts";
import { correlationOf } from "./event/causation.ts";
import { parseUtcTime } from "./event/commit.ts";
import type { RecordedEvent } from "./event/event.ts";
import { categoryOf, parseStreamId } from "./stream-id.ts";
import type { FeedQuery } from "./wire/wire.ts";

export interface FeedFilter {
  /** By the stream alone: an event that this refuses needs no parsing. */
  readonly stream: (streamId: string) => boolean;
  /** By what the event itself says; undefined where nothing was asked of it. */
  readonly content: ((event: Pick<RecordedEvent, "id" | "type" | "metadata" | "recordedAt">) => boolean) | undefined;
}

/** What a reader of one device's events can ask for. @throws InvalidRequestError naming the part that is not of its form */
export function readerFilter({ category, stream, type }: Pick<FeedQuery, "category" | "stream" | "type">): FeedFilter {
  const categories = setOf(category, "category");
  const streams = setOf(stream, "stream");
  const types = setOf(type, "type");
  return {
    stream: (streamId) => (streams?.has(streamId) ?? true) && (categories?.has(categoryOf(streamId)) ?? true),
    content: types && ((event) => types.has(event.type)),
  };
}

/** All that can be asked of the feed. @throws InvalidRequestError naming the part that is not of its form */
export function feedFilter(query: Omit<FeedQuery, "after" | "limit" | "log" | "mark">): FeedFilter {
  const reader = readerFilter(query);
  const within = setOf(query.within, "within");
  for (const part of within ?? []) parseStreamId(part, "within");
  for (const stream of setOf(query.stream, "stream") ?? []) parseStreamId(stream, "stream");
  const { correlation } = query;
  const since = timeOf(query.since, "since");
  const until = timeOf(query.until, "until");
  const asksContent = [reader.content, correlation, since, until].some((part) => part !== undefined);
  return {
    stream: (streamId) => reader.stream(streamId) && (within === undefined || within.has(streamId) || within.has(categoryOf(streamId))),
    content: asksContent
      ? (event) =>
          (reader.content?.(event) ?? true) &&
          (correlation === undefined || correlationOf(event) === correlation) &&
          (since === undefined || Date.parse(event.recordedAt ?? "") >= since) &&
          (until === undefined || Date.parse(event.recordedAt ?? "") <= until)
      : undefined,
  };
}

/** The only streams that may pass, where the query names them; undefined where it names none, or categories too. */
export function namedStreams({ stream, within }: Pick<FeedQuery, "stream" | "within">): readonly string[] | undefined {
  const streams = setOf(stream, "stream");
  if (streams !== undefined) return [...streams];
  const parts = setOf(within, "within");
  // A category has no `-` in it, so what has one names a single stream.
  return parts !== undefined && [...parts].every((part) => part.includes("-")) ? [...parts] : undefined;
}

function setOf(value: string | readonly string[] | undefined, field: string): ReadonlySet<string> | undefined {
  if (value === undefined) return undefined;
  const values = typeof value === "string" ? [value] : value;
  if (!Array.isArray(values) || values.some((item) => typeof item !== "string" || item === "")) {
    throw new InvalidRequestError(`${field} is a text, or several.`, { field });
  }
  return values.length === 0 ? undefined : new Set(values);
}

function timeOf(value: string | undefined, field: string): number | undefined {
  return value === undefined ? undefined : Date.parse(parseUtcTime(value, field));
}
