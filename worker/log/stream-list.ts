/** The list of a log's streams. */
import { intersection, type Reach, reachOfCategory } from "../../shared/edge/grants.ts";
import type { StreamList } from "../../shared/wire/wire.ts";
import type { LogRuns } from "./log-runs.ts";

export interface ListQuery {
  readonly category?: string;
  /** The id after which the page begins. */
  readonly after: string;
  /** Streams of the page, at most. */
  readonly limit: number;
}

/** A page of the streams in reach, in the order of their ids. */
export function streamList(runs: LogRuns, query: ListQuery, reach: Reach): StreamList {
  const streams: { streamId: string; version: number }[] = [];
  const { category } = query;
  for (const [from, to] of category === undefined ? reach : intersection(reach, reachOfCategory(category))) {
    if (streams.length > query.limit) break;
    // The id behind `after`, as `reachOf` ends a range behind an id.
    const start = query.after < from ? from : `${query.after}\0`;
    streams.push(...runs.streamsBetween(start, to, query.limit + 1 - streams.length));
  }
  if (streams.length <= query.limit) return { streams, next: null };
  streams.pop();
  return { streams, next: streams.at(-1)?.streamId ?? null };
}
