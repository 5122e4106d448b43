/**
 * A page of the feed: which of the log's rows are looked at, and how far it comes. It never comes past an event that matches and
 * is not in it.
 *
 *     rows of the log     a a a│b b│c│a│b b b│c c│        every row, or,
 *     rows of b and c     ─────►b b│c│─►b b b│c c│        where the query names them, those of some streams by their index
 */

import { isReached, namedStreamsOf, type Reach } from "../../shared/edge/grants.ts";
import { feedFilter, namedStreams } from "../../shared/feed-filter.ts";
import type { FeedQuery } from "../../shared/wire/wire.ts";
import { linesOf, parseLine, toWire } from "../objects/run-text.ts";
import type { LogRuns } from "./log-runs.ts";

/** Characters of a page; answers of objects hold 32 MiB at most. */
const PAGE_SIZE = 4 * 1024 * 1024;
/** Events that one page looks at, however few of them match: what a request may cost. */
const PAGE_LOOKS = 20_000;
/** Characters that one page looks at: a few large events cost as much as many small ones. */
const PAGE_LOOKED_SIZE = 16 * 1024 * 1024;
/** Streams that one page finds by the index. */
const INDEXED_STREAMS = 200;
/** Rows that one page finds of each of them. */
const INDEXED_ROWS = 1000;

export type CompleteQuery = FeedQuery & { readonly after: number; readonly limit: number };

export interface FoundEvents {
  /** As the wire carries them. */
  readonly events: readonly string[];
  /** How far the page looked. */
  readonly position: number;
}

/**
 * @param query `after` is not beyond the log's head
 * @param reach what the reader may see; the page moves on past the rest
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
  /** There are no others up to here. */
  readonly upTo: number;
}

/** The named streams' rows past a position; undefined where the index is not to be asked, or costs more than what lies ahead. */
function findRows(runs: LogRuns, streams: readonly string[] | undefined, after: number): FoundRows | undefined {
  if (streams === undefined || streams.length > INDEXED_STREAMS || streams.length >= runs.head - after) return undefined;
  let upTo = runs.head;
  const ends: number[] = [];
  for (const streamId of streams) {
    const own = runs.endsOf(streamId, after, INDEXED_ROWS);
    ends.push(...own);
    // A stream may have more rows than were asked for: behind its last one here nothing is known.
    upTo = Math.min(upTo, own[INDEXED_ROWS - 1] ?? runs.head);
  }
  return { ends: ends.filter((end) => end <= upTo).sort((a, b) => a - b), upTo };
}
