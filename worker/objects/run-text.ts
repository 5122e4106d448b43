/**
 * Events as the edge stores them: one JSON object a line, without what the row already says (stream, version, position).
 * Pages are made by putting those before each line, so that the edge never parses what it only passes on.
 */
import { assert } from "../../shared/assert.ts";
import type { EventBody, RecordingFields } from "../../shared/event/event.ts";
import { utf8Length } from "../../shared/json.ts";

/** What a line holds. `id` stands first: an id is read off a line without parsing it. */
export type StoredEvent = EventBody & Pick<RecordingFields, "recordedAt" | "actor">;

const ID_START = '{"id":"';
const ID_END = ID_START.length + 36;

/** JSON escapes line breaks within texts, so a line break stands between events only. */
export function toLines(events: readonly EventBody[], recordedAt: string, actor: string | null): string {
  return events
    .map(({ id, type, schemaVersion, data, metadata, occurredAt }) => {
      const stored: StoredEvent = { id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor };
      return JSON.stringify(stored);
    })
    .join("\n");
}

export function linesOf(text: string): string[] {
  return text.split("\n");
}

export function idOf(line: string): string {
  assert(line.startsWith(ID_START), "a stored event begins with its id");
  return line.slice(ID_START.length, ID_END);
}

export function parseLine(line: string): StoredEvent {
  return JSON.parse(line);
}

/** The event as the wire carries it. Stream ids need no escaping: see `shared/stream-id.ts`. */
export function toWire(line: string, streamId: string, version: number, position: number | null): string {
  return `{"streamId":"${streamId}","version":${version},"position":${position},${line.slice(1)}`;
}

/** Bytes of several appends in one row. A single append may have more: `assertCommitFitsRow` bounds that one. */
const SHARED_ROW_BYTES = 1024 * 1024;

/** Those of the items, from the first, whose texts go together into one row: at least one where there is one. */
export function fitting<T>(items: Iterable<T>, textOf: (item: T) => string): T[] {
  const taken: T[] = [];
  let bytes = 0;
  for (const item of items) {
    bytes += utf8Length(textOf(item)) + 1;
    if (taken.length > 0 && bytes > SHARED_ROW_BYTES) break;
    taken.push(item);
  }
  return taken;
}
