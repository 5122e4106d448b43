/**
 * Events as the edge stores them: one JSON object a line, without the fields that the row already has (stream, version, position).
 * A page is made by writing these fields at the start of each line, so the edge never parses an event that it only passes on.
 *
 *     {"id":"…","type":"…", … ,"actor":"ann","digest":"0123456789abcdef"}
 *     └── content, as `shared/event/digest.ts` has it ──┘ └── of the content and its place: who reads the line makes it again, and compares
 *
 * Versions before this one wrote no digests. Of their lines only the form can be checked.
 */
import { assert } from "../../shared/assert.ts";
import { CONTENT_FIELDS, contentOf, EventDigests, eventDigest, type RecordedFields } from "../../shared/event/digest.ts";
import type { EventBody } from "../../shared/event/event.ts";
import { differingField, type RecordedContent } from "../../shared/event/recorded.ts";
import { isObject, utf8Length } from "../../shared/json.ts";

/** What a line contains. `id` comes first, so that it can be read without parsing the line. */
export type StoredEvent = RecordedFields;

const ID_START = '{"id":"';
const ID_END = ID_START.length + 36;
const DIGEST_START = ',"digest":"';
/** Characters of the digest, with its name and the line's end. */
const DIGEST_LENGTH = DIGEST_START.length + 16 + 2;

/** JSON escapes line breaks within texts, so a line break only separates events. @param firstVersion of the first event */
export function toLines(streamId: string, firstVersion: number, events: readonly StoredEvent[]): string {
  return events.map((event, i) => toLine(streamId, firstVersion + i, event)).join("\n");
}

function toLine(streamId: string, version: number, event: StoredEvent): string {
  const content = contentOf(event);
  return `${content}${DIGEST_START}${eventDigest(streamId, version, content)}"}`;
}

/** The events of a commit as they are recorded. */
export function recordedEvents(events: readonly EventBody[], recordedAt: string, actor: string | null): StoredEvent[] {
  return events.map((event) => ({ ...event, recordedAt, actor }));
}

/** A line that was read, and is as it was written. */
export interface IntactLine {
  /** As `contentOf` of `shared/event/digest.ts` returns it. */
  readonly content: string;
  readonly digest: string;
}

/**
 * Checks a line by its digest. A line without one is of a version that made none: it must have all fields and no other.
 *
 * @returns undefined if the line is damaged
 */
export function checkLine(line: string, streamId: string, version: number): IntactLine | undefined {
  return checked(line, (length) => eventDigest(streamId, version, line.slice(0, length)));
}

/** @param digestOf makes the digest of so many characters from the line's first one */
function checked(line: string, digestOf: (length: number) => string): IntactLine | undefined {
  const end = line.length - DIGEST_LENGTH;
  const isDigested = line.startsWith(DIGEST_START, end);
  if (!isDigested && !isWhole(line)) return undefined;
  const content = line.slice(0, isDigested ? end : -1);
  const digest = digestOf(content.length);
  if (isDigested && (line.slice(end + DIGEST_START.length, -2) !== digest || !line.endsWith('"}'))) return undefined;
  return { content, digest };
}

function isWhole(line: string): boolean {
  try {
    const event: unknown = JSON.parse(line);
    return line.startsWith(ID_START) && isObject(event) && Object.keys(event).join() === CONTENT_FIELDS.join();
  } catch {
    return false; // that it can't be parsed is what was to be found out
  }
}

/** Checks all lines of a run. @returns undefined if one of them is damaged, or if there are not as many as the run has versions */
export function checkRun(text: string, streamId: string, firstVersion: number, lastVersion: number): IntactLine[] | undefined {
  if (firstVersion === lastVersion) {
    // Most runs have one event.
    const line = checkLine(text, streamId, firstVersion);
    return line === undefined ? undefined : [line];
  }
  const lines = linesOf(text);
  if (lines.length !== lastVersion - firstVersion + 1) return undefined;
  const digests = new EventDigests(text, streamId);
  const intact: IntactLine[] = [];
  let start = 0;
  for (const [i, line] of lines.entries()) {
    const one = checked(line, (length) => digests.at(start, start + length, firstVersion + i));
    if (one === undefined) return undefined;
    intact.push(one);
    start += line.length + 1;
  }
  return intact;
}

/** Whether two lines are of the same event. An event that was restored may have its keys in another order, and no digest. */
export function isSameEvent(a: string, b: string): boolean {
  return a === b || differingField(parseLine(a) as RecordedContent, parseLine(b) as RecordedContent) === undefined; // stored events were recorded
}

export function linesOf(text: string): string[] {
  return text.split("\n");
}

export function idOf(line: string): string {
  assert(line.startsWith(ID_START), "a stored event begins with its id");
  return line.slice(ID_START.length, ID_END);
}

const TYPE_START = '","type":"';

/** The event's type, without parsing it: it is behind the id. */
function typeOf(content: string): string {
  const start = ID_END + TYPE_START.length;
  assert(content.startsWith(TYPE_START, ID_END), "the type is behind the id of a stored event");
  const end = /(?<!\\)(?:\\\\)*"/g;
  end.lastIndex = start;
  end.exec(content);
  const text = content.slice(start, end.lastIndex - 1);
  return text.includes("\\") ? JSON.parse(`"${text}"`) : text;
}

/** The digest is left in it: nobody looks for it. */
export function parseLine(line: string): StoredEvent {
  return JSON.parse(line);
}

/** @param content of an `IntactLine` */
export function parseContent(content: string): StoredEvent {
  return parseLine(`${content}}`);
}

/** An event that several readers look at: it is parsed at most once, and only as far as they need. */
export class SharedLine {
  readonly #content: string;
  #type: string | undefined;
  #event: StoredEvent | undefined;

  /** @param content of an `IntactLine` */
  constructor(content: string) {
    this.#content = content;
  }

  get type(): string {
    this.#type ??= typeOf(this.#content);
    return this.#type;
  }

  get event(): StoredEvent {
    this.#event ??= parseContent(this.#content);
    return this.#event;
  }
}

/** The event as the wire has it. Stream ids need no escaping: see `shared/stream-id.ts`. @param content of an `IntactLine` */
export function toWire(content: string, streamId: string, version: number, position: number | null): string {
  return `{"streamId":"${streamId}","version":${version},"position":${position},${content.slice(1)}}`;
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

/** Consecutive versions of one stream in one row. */
export interface Run {
  readonly firstVersion: number;
  readonly lastVersion: number;
  readonly events: string;
}

/** Lines of one stream as runs, each of which fits into a row. @param firstVersion of the first line */
export function runsOf(lines: readonly string[], firstVersion: number): Run[] {
  const runs: Run[] = [];
  for (let left = lines, first = firstVersion; left.length > 0; ) {
    const together = fitting(left, (line) => line);
    left = left.slice(together.length);
    runs.push({ firstVersion: first, lastVersion: first + together.length - 1, events: together.join("\n") });
    first += together.length;
  }
  return runs;
}
