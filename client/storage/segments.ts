/**
 * Confirmed events as the device stores them: the log in pages, as they came, and each page in segments of some streams
 * each. A stream's events of a page stand in one segment, as one text, so that reading a stream asks for few records and
 * parses that stream alone. Pure; `device-log.ts` reads and writes them.
 *
 *     feed:      #1 A  #2 B  #3 A  #4 C  #5 B  …  #1000 A      one page
 *     segments:  [1000, 0] A: #1 #3 #1000 │ C: #4    [1000, 1] B: #2 #5    …
 */
import type { ConfirmedEvent } from "../../shared/event/event.ts";

/** The position of the page's last event, and the segment's number within the page. */
export type SegmentKey = [page: number, n: number];

export interface Segment {
  key: SegmentKey;
  /** The streams in it, each with its last version here: the entries of the index. */
  streams: [streamId: string, lastVersion: number][];
  /** For each of `streams` its events, JSON separated by commas. */
  texts: string[];
}

/** Where the cost of one more record meets that of reading strangers' events: measured, see the decision record. */
export const SEGMENT_EVENTS = 8;

/** A segment of one stream alone costs a reader nothing extra, so a long run is cut later. */
const RUN_EVENTS = 256;

/** @param events one page in position order */
export function toSegments(events: readonly ConfirmedEvent[]): Segment[] {
  const page = events.at(-1)?.position ?? 0;
  const segments: Segment[] = [];
  let open: Segment = { key: [page, 0], streams: [], texts: [] };
  let count = 0;
  const close = () => {
    if (count === 0) return;
    segments.push(open);
    open = { key: [page, segments.length], streams: [], texts: [] };
    count = 0;
  };
  for (const run of runsOf(events)) {
    if (count + run.length > SEGMENT_EVENTS) close();
    const last = run.at(-1);
    if (last === undefined) continue;
    open.streams.push([last.streamId, last.version]);
    open.texts.push(run.map((event) => JSON.stringify(event)).join(","));
    count += run.length;
  }
  close();
  return segments;
}

/** Each stream's events, in order; where there are very many of one stream, in several parts. */
function runsOf(events: readonly ConfirmedEvent[]): ConfirmedEvent[][] {
  return [...Map.groupBy(events, (event) => event.streamId).values()].flatMap((run) =>
    Array.from({ length: Math.ceil(run.length / RUN_EVENTS) }, (_, i) => run.slice(i * RUN_EVENTS, (i + 1) * RUN_EVENTS)),
  );
}

/** The events of those of a segment's streams that are wanted: stream by stream, each in order. */
export function eventsOf(segment: Segment, wanted: (streamId: string) => boolean = () => true): ConfirmedEvent[] {
  return JSON.parse(`[${segment.texts.filter((_, i) => wanted(segment.streams[i]?.[0] ?? "")).join(",")}]`);
}

/** The events of whole pages that are wanted, in position order. */
export function eventsOfPages(segments: readonly Segment[], wanted?: (streamId: string) => boolean): ConfirmedEvent[] {
  return segments.flatMap((segment) => eventsOf(segment, wanted)).sort((a, b) => a.position - b.position);
}
