/** Which events of the feed a reader gets. A part that is left out lets every event pass; an event must pass all parts that are given. */

import { InvalidRequestError } from "./errors.ts";
import { correlationOf } from "./event/causation.ts";
import { parseUtcTime, toReference } from "./event/commit.ts";
import type { RecordedEvent } from "./event/event.ts";
import { texts } from "./options.ts";
import { categoryOf, parseStreamId } from "./stream-id.ts";
import type { FeedQuery } from "./wire/wire.ts";

export interface FeedFilter {
  /** Checks the stream id alone: an event that does not pass it need not be parsed. */
  readonly stream: (streamId: string) => boolean;
  /** Checks the event itself; undefined if the query has no part about it. */
  readonly content: ((event: Pick<RecordedEvent, "id" | "type" | "metadata" | "recordedAt">) => boolean) | undefined;
}

/** A filter of the edge's feed. */
export interface EdgeFilter extends FeedFilter {
  /** Whether a stream of a category can pass. */
  readonly category: (category: string) => boolean;
  /** Checks the type alone: an event that does not pass it need not be parsed; undefined if the query names no types. */
  readonly type: ((type: string) => boolean) | undefined;
  /** The one that events that pass have; undefined if they may have any. */
  readonly correlation: string | undefined;
  /** In milliseconds since 1970, inclusive; undefined where the query sets no bound. */
  readonly since: number | undefined;
  readonly until: number | undefined;
}

/** The filter that readers of a device's events can use. @param query its parts have the form of `texts` (`options.ts`) */
export function readerFilter({ category, stream, type }: Pick<FeedQuery, "category" | "stream" | "type">): FeedFilter {
  const categories = setOf(category);
  const streams = setOf(stream);
  const types = setOf(type);
  return {
    stream: (streamId) => (streams?.has(streamId) ?? true) && (categories?.has(categoryOf(streamId)) ?? true),
    content: types && ((event) => types.has(event.type)),
  };
}

const PARTS = ["within", "category", "stream", "type"] as const;

/** The filter with all parts of a feed query. @throws InvalidRequestError that names the part with a wrong form */
export function feedFilter(query: Omit<FeedQuery, "after" | "limit" | "log" | "mark">): EdgeFilter {
  for (const field of PARTS) {
    const part = query[field];
    if (part !== undefined && !texts.accepts(part)) throw new InvalidRequestError(`${field} must be ${texts.what}.`, { field });
  }
  const reader = readerFilter(query);
  const within = setOf(query.within);
  const streams = setOf(query.stream);
  for (const part of within ?? []) parseStreamId(part, "within");
  for (const stream of streams ?? []) parseStreamId(stream, "stream");
  const categories = [setOf(query.category), categoriesOf(streams), categoriesOf(within)];
  const types = setOf(query.type);
  const correlation = query.correlation === undefined ? undefined : toReference(query.correlation);
  const since = timeOf(query.since, "since");
  const until = timeOf(query.until, "until");
  const asksContent = [reader.content, correlation, since, until].some((part) => part !== undefined);
  return {
    stream: (streamId) => reader.stream(streamId) && (within === undefined || within.has(streamId) || within.has(categoryOf(streamId))),
    category: (category) => categories.every((some) => some?.has(category) ?? true),
    type: types && ((type) => types.has(type)),
    content: asksContent
      ? (event) =>
          (reader.content?.(event) ?? true) &&
          (correlation === undefined || correlationOf(event) === correlation) &&
          (since === undefined || Date.parse(event.recordedAt ?? "") >= since) &&
          (until === undefined || Date.parse(event.recordedAt ?? "") <= until)
      : undefined,
    correlation,
    since,
    until,
  };
}

/** @param parts stream ids, and categories */
function categoriesOf(parts: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
  return parts && new Set(Array.from(parts, categoryOf));
}

/** Equal for queries with equal filters. */
export function filterKey({ within, category, stream, type, correlation, since, until }: FeedQuery): string {
  return JSON.stringify([within, category, stream, type, correlation, since, until]);
}

/** The only streams that can pass, if the query names streams; undefined if it names none, or also names categories. */
export function namedStreams({ stream, within }: Pick<FeedQuery, "stream" | "within">): readonly string[] | undefined {
  const streams = setOf(stream);
  if (streams !== undefined) return [...streams];
  const parts = setOf(within);
  // A category contains no `-`, so a name that contains one names a single stream.
  return parts !== undefined && [...parts].every((part) => part.includes("-")) ? [...parts] : undefined;
}

function setOf(value: string | readonly string[] = []): ReadonlySet<string> | undefined {
  const values = typeof value === "string" ? [value] : value;
  return values.length === 0 ? undefined : new Set(values);
}

function timeOf(value: string | undefined, field: string): number | undefined {
  return value === undefined ? undefined : Date.parse(parseUtcTime(value, field));
}
