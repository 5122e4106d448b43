/**
 * A page of the feed: which rows of the log it reads, and how far it gets. It never gets past an event that matches and is not on the
 * page.
 *
 *     rows of the log     a a a│b b│c│a│b b b│c c│        every row; or, if the query or the grants name the streams,
 *     rows of b and c     ─────►b b│c│─►b b b│c c│        only the rows of these streams, by the index
 */

import { isReached, namedStreamsOf, type Reach } from "../../shared/edge/grants.ts";
import { feedFilter, namedStreams } from "../../shared/feed-filter.ts";
import type { FeedQuery } from "../../shared/wire/wire.ts";
import { linesOf, parseLine, toWire } from "../objects/run-text.ts";
import type { LogRuns } from "./log-runs.ts";

/** Characters of a page. An answer of an object has at most 32 MiB. */
const PAGE_SIZE = 4 * 1024 * 1024;
/** Events that one page checks, however few of them match: this limits what a request costs. */
const PAGE_LOOKS = 20_000;
/** Characters that one page checks: a few large events cost as much as many small ones. */
const PAGE_LOOKED_SIZE = 16 * 1024 * 1024;
/** Streams whose rows one page finds by the index, at most. */
const INDEXED_STREAMS = 200;
/** Rows that one page finds of each of them, at most. */
const INDEXED_ROWS = 1000;

export type CompleteQuery = FeedQuery & { readonly after: number; readonly limit: number };

export interface FoundEvents {
  /** As the wire has them. */
  readonly events: readonly string[];
  /** How far the page got. */
  readonly position: number;
}

/**
 * @param query `after` is not beyond the log's head
 * @param reach what the reader may see; the page skips the rest
 */
export function readFeed(runs: LogRuns, query: CompleteQuery, reach: Reach): FoundEvents {
  const filter = feedFilter(query);
  const passes = (streamId: string) => filter.stream(streamId) && isReached(reach, streamId);
  const events: string[] = [];
  let position = query.after;
  let size = 0;
  let looked = 0;
  let lookedSize = 0;
  const found = findRows(runs, (namedStreams(query) ?? namedStreamsOf(reach))?.filter(passes), query.after);
  const rows = found === undefined ? runs.rowsAfter(query.after) : runs.rowsAt(found.ends);
  const full = () => events.length >= query.limit || size >= PAGE_SIZE || looked >= PAGE_LOOKS;
  for (const row of rows) {
    if (full() || lookedSize >= PAGE_LOOKED_SIZE) break;
    lookedSize += row.events.length;
    if (!passes(row.stream_id)) {
      looked += row.last_position - position;
      position = row.last_position;
      continue;
    }
    const lines = linesOf(row.events);
    for (let i = 0; i < lines.length && !full(); i++) {
      const at = row.last_position - (lines.length - 1 - i);
      if (at <= position) continue;
      position = at;
      looked++;
      const line = lines[i] ?? "";
      if (filter.content !== undefined && !filter.content(parseLine(line))) continue;
      events.push(toWire(line, row.stream_id, row.last_version - (lines.length - 1 - i), at));
      size += line.length;
    }
  }
  const isThrough = found !== undefined && position >= (found.ends.at(-1) ?? 0);
  return { events, position: isThrough ? found.upTo : position };
}

interface FoundRows {
  /** Their last positions, in order. */
  readonly ends: readonly number[];
  /** Up to this position there are no others. */
  readonly upTo: number;
}

/** The named streams' rows after a position; undefined if no streams are named, or if the index costs more than the rows that are left. */
function findRows(runs: LogRuns, streams: readonly string[] | undefined, after: number): FoundRows | undefined {
  if (streams === undefined || streams.length > INDEXED_STREAMS || streams.length >= runs.head - after) return undefined;
  let upTo = runs.head;
  const ends: number[] = [];
  for (const streamId of streams) {
    const own = runs.endsOf(streamId, after, INDEXED_ROWS);
    ends.push(...own);
    // A stream may have more rows than the limit: after its last row here nothing is known.
    upTo = Math.min(upTo, own[INDEXED_ROWS - 1] ?? runs.head);
  }
  return { ends: ends.filter((end) => end <= upTo).sort((a, b) => a - b), upTo };
}
