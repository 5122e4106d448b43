/**
 * Confirmed events as the device stores them: segments of the log in position order, and within a segment one text for
 * each stream, so that reading a stream parses that stream alone. Pure; `device-log.ts` reads and writes them.
 */
import type { ConfirmedEvent } from "../shared/event.ts";

export interface Segment {
  /** The position of its last event, and its key. */
  position: number;
  /** The streams in it, each with its last version here: the entries of the index. */
  streams: [streamId: string, lastVersion: number][];
  /** For each of `streams` its events, JSON separated by commas. */
  texts: string[];
  /** Events in it. */
  count: number;
}

/** Where the cost of one more record meets that of reading strangers' events: measured, see the decision record. */
export const SEGMENT_EVENTS = 16;

/** A segment of one stream alone costs a reader nothing extra, so a long run is cut later. */
const RUN_EVENTS = 256;

/** @param events in position order */
export function toSegments(events: readonly ConfirmedEvent[]): Segment[] {
  const segments: Segment[] = [];
  let start = 0;
  while (start < events.length) {
    const end = segmentEnd(events, start);
    segments.push(toSegment(events.slice(start, end)));
    start = end;
  }
  return segments;
}

function segmentEnd(events: readonly ConfirmedEvent[], start: number): number {
  const streamId = events[start]?.streamId;
  let end = start + 1;
  let alone = true;
  while (end < events.length) {
    alone &&= events[end]?.streamId === streamId;
    if (end - start >= (alone ? RUN_EVENTS : SEGMENT_EVENTS)) break;
    end++;
  }
  return end;
}

function toSegment(events: readonly ConfirmedEvent[]): Segment {
  const streams = new Map<string, { version: number; texts: string[] }>();
  for (const event of events) {
    const text = JSON.stringify(event);
    const stream = streams.get(event.streamId);
    if (stream === undefined) streams.set(event.streamId, { version: event.version, texts: [text] });
    else {
      stream.version = event.version;
      stream.texts.push(text);
    }
  }
  return {
    position: events.at(-1)?.position ?? 0,
    streams: [...streams].map(([streamId, { version }]) => [streamId, version]),
    texts: [...streams.values()].map(({ texts }) => texts.join(",")),
    count: events.length,
  };
}

/** The events of those of a segment's streams that are wanted, in position order. */
export function eventsOf(segment: Segment, wanted: (streamId: string) => boolean = () => true): ConfirmedEvent[] {
  const texts = segment.texts.filter((_, i) => wanted(segment.streams[i]?.[0] ?? ""));
  const events: ConfirmedEvent[] = JSON.parse(`[${texts.join(",")}]`);
  return texts.length > 1 ? events.sort((a, b) => a.position - b.position) : events;
}
