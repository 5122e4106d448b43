/**
 * Events as the edge stores them: one JSON object a line, without the fields that the row already has (stream, version, position).
 * A page is made by writing these fields at the start of each line, so the edge never parses an event that it only passes on.
 */
import { assert } from "../../shared/assert.ts";
import type { EventBody, RecordingFields } from "../../shared/event/event.ts";
import { utf8Length } from "../../shared/json.ts";

/** What a line contains. `id` comes first, so that it can be read without parsing the line. */
export type StoredEvent = EventBody & Pick<RecordingFields, "recordedAt" | "actor">;

const ID_START = '{"id":"';
const ID_END = ID_START.length + 36;

/** JSON escapes line breaks within texts, so a line break only separates events. */
export function toLines(events: readonly EventBody[], recordedAt: string, actor: string | null): string {
  return events.map((event) => toLine({ ...event, recordedAt, actor })).join("\n");
}

/** The fields in the order in which every event is stored. */
export function toLine({ id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor }: StoredEvent): string {
  const stored: StoredEvent = { id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor };
  return JSON.stringify(stored);
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

/** The event as the wire has it. Stream ids need no escaping: see `shared/stream-id.ts`. */
export function toWire(line: string, streamId: string, version: number, position: number | null): string {
  return `{"streamId":"${streamId}","version":${version},"position":${position},${line.slice(1)}`;
}

/** Bytes that several appends may have together in one row. A single append may have more: `assertCommitFitsRow` limits it. */
const SHARED_ROW_BYTES = 1024 * 1024;

/** The first items whose texts fit together into one row; at least one item, if there is any. */
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
