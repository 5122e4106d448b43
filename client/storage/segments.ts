/**
 * How the device stores confirmed events: the log in pages, as they came, and each page in segments of some streams each. A segment holds
 * one text for each of its streams, with the stream's events of the page. To read a stream, few records are read, and only that stream's
 * text is parsed. The functions are pure; `device-log.ts` reads and writes the records.
 *
 *     feed:      #1 A  #2 B  #3 A  #4 C  #5 B  …  #1000 A      one page
 *     segments:  [1000, 0] A: #1 #3 #1000 │ C: #4    [1000, 1] B: #2 #5    …
 */
import type { ConfirmedEvent } from "../../shared/event/event.ts";

/** The position of the page's last event, and the segment's number within the page. */
export type SegmentKey = [page: number, n: number];

export interface Segment {
  key: SegmentKey;
  /** The streams of this segment, each with its last version in it: the entries of the index `streams`. */
  streams: [streamId: string, lastVersion: number][];
  /** For each of `streams`, its events as JSON, separated by commas. */
  texts: string[];
}

/**
 * The most events in a segment of several streams. Smaller segments mean more records; larger ones mean more events of other streams to
 * read. The number is measured: `docs/decisions/0003-storage-on-the-device.md`.
 */
export const SEGMENT_EVENTS = 8;

/** The most events of one stream in a segment. A segment of a single stream has no events of other streams, so it may be longer. */
const RUN_EVENTS = 256;

/** @param events one page, in position order */
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

/** Each stream's events, in order. More than 256 events of one stream are cut into several parts. */
function runsOf(events: readonly ConfirmedEvent[]): ConfirmedEvent[][] {
  return [...Map.groupBy(events, (event) => event.streamId).values()].flatMap((run) =>
    Array.from({ length: Math.ceil(run.length / RUN_EVENTS) }, (_, i) => run.slice(i * RUN_EVENTS, (i + 1) * RUN_EVENTS)),
  );
}

/** The events of a segment's streams that `wanted` accepts: stream by stream, each in order. */
export function eventsOf(segment: Segment, wanted: (streamId: string) => boolean = () => true): ConfirmedEvent[] {
  return JSON.parse(`[${segment.texts.filter((_, i) => wanted(segment.streams[i]?.[0] ?? "")).join(",")}]`);
}

/** The events of whole pages whose streams `wanted` accepts, in position order. */
export function eventsOfPages(segments: readonly Segment[], wanted?: (streamId: string) => boolean): ConfirmedEvent[] {
  return segments.flatMap((segment) => eventsOf(segment, wanted)).sort((a, b) => a.position - b.position);
}
