/**
 * A page of the feed: which rows of the log it reads, and how far it gets. It never gets past an event that matches and is not on the
 * page.
 *
 *     rows of the log     a a a│b b│c│a│b b b│c c│        every row; or, if the query or the grants name the streams,
 *     rows of b and c     ─────►b b│c│─►b b b│c c│        only the rows of these streams, by the index
 *     what is remembered  ═══════════════╗                of a filter that was read before: only the rows that matched
 *     outlines            ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒▒▒▒▒▒   of blocks of the log: those without a match are passed (`outlines.ts`)
 *
 * A search is done in parts, and each looks at a bounded part of the log. `read-turns.ts` lets others have their turn in between.
 *
 * Each row whose events are read is checked. A page ends before damaged positions; the one that would begin with them fails, unless its
 * query says that it skips them.
 */

import { isReached, namedStreamsOf, type Reach } from "../../shared/edge/grants.ts";
import { mayMatch, OUTLINED, Outliner, outlinedBlock, outlinedEnd } from "../../shared/edge/outline.ts";
import { pageDigest } from "../../shared/event/digest.ts";
import { type EdgeFilter, feedFilter, filterKey, namedStreams } from "../../shared/feed-filter.ts";
import type { DamagedSpan, FeedQuery } from "../../shared/wire/wire.ts";
import { parseContent, SharedLine, toWire } from "../objects/run-text.ts";
import { damagedAt, firstPositionOf, intact, type LogRow, type RowPlace } from "./log-rows.ts";
import type { LogRuns } from "./log-runs.ts";
import type { Matches, MatchMemory } from "./match-memory.ts";
import type { OutlinedBlock } from "./outlines.ts";
import { firstOf, StreamEnds } from "./stream-ends.ts";

/** Characters of a page. An answer of an object has at most 32 MiB. */
const PAGE_SIZE = 4 * 1024 * 1024;
/** Events that one page checks, however few of them match: this limits what a request costs. */
const PAGE_LOOKS = 20_000;
/** Characters that one page checks: a few large events cost as much as many small ones. */
const PAGE_LOOKED_SIZE = 16 * 1024 * 1024;
/** Streams whose rows one page finds by the index, at most. */
const INDEXED_STREAMS = 200;
/** Events that one part of a search checks, a row that is passed over counting as one. */
const PART_LOOKS = 100;
/** Characters that one part checks. */
const PART_SIZE = 50 * 1024;
/** What finding a stream's place by the index costs, in events checked. */
const PLACE_LOOKS = 2;
/** Streams whose places are found by one statement. */
const PLACES = 50;
/** What reading an outline costs, in events checked. */
const OUTLINE_LOOKS = 2;

export type CompleteQuery = FeedQuery & { readonly after: number; readonly limit: number };

export interface FoundEvents {
  /** As the wire has them. */
  readonly events: readonly string[];
  /** How far the page got. */
  readonly position: number;
  /** Of the events: `pageDigest` of `shared/event/digest.ts`. */
  readonly digest: string;
  /** What the page skipped because it is damaged. */
  readonly damaged: readonly DamagedSpan[];
  /** Whether the page ends before damage. */
  readonly isCut: boolean;
}

/** A search that yields at the end of each part, and returns what it found. */
export type Search = Generator<undefined, FoundEvents, undefined>;

/** Which events a reader gets: by their filter, and by what they may see. */
export class Matcher {
  readonly #filter: EdgeFilter;
  readonly #reach: Reach;

  constructor(query: FeedQuery, reach: Reach) {
    this.#filter = feedFilter(query);
    this.#reach = reach;
  }

  stream(streamId: string): boolean {
    return this.#filter.stream(streamId) && isReached(this.#reach, streamId);
  }

  /** Whether an event of the block may match. */
  block({ outline, correlations }: OutlinedBlock): boolean {
    return mayMatch(outline, correlations, this.#filter, this.#reach);
  }

  /** @param line of a stream that matches */
  line(line: SharedLine): boolean {
    const { type, content } = this.#filter;
    if (type !== undefined && !type(line.type)) return false;
    return content === undefined || content(line.event);
  }
}

/** Equal for readers who get the same events, however they take damage. */
export function readerKey(query: FeedQuery, reach: Reach): string {
  return `${filterKey(query)}${JSON.stringify(reach)}`;
}

/**
 * @param query `after` is not beyond the log's head
 * @param reach what the reader may see; the page skips the rest
 * @param memory what is remembered of the same filter and reach
 * @throws StorageDamagedError if the page would begin with damage, and does not skip it
 */
export function* searchFeed(runs: LogRuns, query: CompleteQuery, reach: Reach, memory: MatchMemory): Search {
  const page = new PageSearch(runs, query, new Matcher(query, reach));
  const named = (namedStreams(query) ?? namedStreamsOf(reach))?.filter((streamId) => page.matcher.stream(streamId));
  // The index costs as much as the rows that are left.
  const isIndexed = named !== undefined && named.length <= INDEXED_STREAMS && named.length < runs.head - query.after;
  if (isIndexed) yield* searchStreams(runs, page, named);
  else yield* searchRows(runs, page, memory.of(readerKey(query, reach)));
  return page.found();
}

class PageSearch {
  readonly matcher: Matcher;
  position: number;
  /** Rows that were read with their events, and those of them that were passed over for their streams. */
  readonly rows = { read: 0, passed: 0 };
  /** Up to here no outline helps: the rows are looked at. */
  rowsUpTo = 0;
  /** The block that is looked through from its beginning, for want of an outline, and what was found before it. */
  through: { readonly block: number; readonly found: number } | undefined;
  readonly #runs: LogRuns;
  readonly #query: CompleteQuery;
  readonly #events: string[] = [];
  readonly #digests: { readonly position: number; readonly digest: string }[] = [];
  readonly #damaged: DamagedSpan[] = [];
  #isCut = false;
  #size = 0;
  #looked = 0;
  #lookedSize = 0;
  #part = { looked: 0, size: 0 };

  constructor(runs: LogRuns, query: CompleteQuery, matcher: Matcher) {
    this.position = query.after;
    this.#runs = runs;
    this.#query = query;
    this.matcher = matcher;
  }

  found(): FoundEvents {
    const [events, damaged] = [this.#events, this.#damaged];
    return { events, position: this.position, digest: pageDigest(this.#digests), damaged, isCut: this.#isCut };
  }

  get isOver(): boolean {
    return this.#isCut || this.#isFull() || this.#lookedSize >= PAGE_LOOKED_SIZE;
  }

  #isFull(): boolean {
    return this.#events.length >= this.#query.limit || this.#size >= PAGE_SIZE || this.#looked >= PAGE_LOOKS;
  }

  get isPartOver(): boolean {
    return this.#part.looked >= PART_LOOKS || this.#part.size >= PART_SIZE;
  }

  beginPart(): void {
    this.#part = { looked: 0, size: 0 };
  }

  /** Counts as looks of the part what was done without looking at events. */
  spend(looks: number, size = 0): void {
    this.#part.looked += looks;
    this.#part.size += size;
  }

  /** Passes a row whose stream does not match. */
  pass(end: number): void {
    this.#looked += end - this.position;
    this.position = end;
    this.spend(1);
  }

  /** Passes a block in which nothing matches. */
  passBlock(end: number): void {
    this.#looked += OUTLINE_LOOKS;
    this.position = end;
  }

  get count(): number {
    return this.#events.length;
  }

  /**
   * Goes on behind positions that can't be read, or ends the page before them.
   *
   * @throws StorageDamagedError if the page would begin with them
   */
  meetDamage(first: number, last: number): void {
    if (this.#query.damaged === "skip") {
      this.#damaged.push({ first, last });
      this.pass(last);
    } else if (this.position === this.#query.after) {
      throw damagedAt(first, last);
    } else {
      this.#isCut = true;
    }
  }

  /** Looks at the row that ends at a position. */
  lookAt(end: number): boolean {
    const row = this.#runs.rowAt(end);
    if (row !== undefined) return this.look(row);
    // It was there when its end became known. How long it was, the row before it tells.
    this.meetDamage(Math.max(this.position, this.#runs.endBefore(end)) + 1, end);
    return true;
  }

  /**
   * Takes the events of a row, unless the page is full before.
   *
   * @returns whether whoever reads by the same filter has to look at it: one of the events matches, or the row is damaged
   */
  look(row: LogRow): boolean {
    this.#lookedSize += row.events.length;
    this.spend(0, row.events.length);
    const lines = intact(row);
    if (lines === undefined) {
      this.meetDamage(Math.max(firstPositionOf(row), this.position + 1), row.last_position);
      return true;
    }
    let matches = false;
    for (const [i, { content, digest }] of lines.entries()) {
      if (this.#isFull()) break;
      const at = firstPositionOf(row) + i;
      if (at <= this.position) continue;
      this.position = at;
      this.#looked++;
      this.spend(1);
      if (!this.matcher.line(new SharedLine(content))) continue;
      matches = true;
      this.#events.push(toWire(content, row.stream_id, row.first_version + i, at));
      this.#digests.push({ position: at, digest });
      this.#size += content.length;
    }
    return matches;
  }
}

/** Looks at the rows that the memory does not know, and at those that it knows to match. */
function* searchRows(runs: LogRuns, page: PageSearch, matches: Matches): Generator<undefined, void, undefined> {
  while (!page.isOver && page.position < runs.head) {
    if (page.isPartOver) {
      yield;
      page.beginPart();
    }
    const known = matches.after(page.position);
    if (known?.isMatch === true) page.lookAt(known.position);
    else if (known !== undefined) page.position = known.position;
    else if (page.position < page.rowsUpTo) lookAtRows(runs, page, matches);
    else {
      // Who reads by the same filter remembers what was found. Others gain by the outline of what this one has looked through in vain.
      if (page.through?.found === page.count) yield* outlineBlock(runs, page, page.through.block);
      passBlocks(runs, page, matches);
    }
  }
}

/** Passes the blocks whose outlines say that nothing in them matches. */
function passBlocks(runs: LogRuns, page: PageSearch, matches: Matches): void {
  page.through = undefined;
  for (const block of runs.outlines.after(page.position)) {
    page.spend(OUTLINE_LOOKS);
    if (page.matcher.block(block)) {
      page.rowsUpTo = block.end;
      return;
    }
    matches.note(page.position, block.end, false);
    page.passBlock(block.end);
    if (page.isOver || page.isPartOver) return;
  }
  const block = outlinedBlock(runs.endAfter(page.position) ?? runs.head);
  page.rowsUpTo = outlinedEnd(block);
  if (runs.endBefore(page.rowsUpTo - OUTLINED + 1) === page.position) page.through = { block, found: page.count };
}

/** Makes the outline of a block, if its rows are all there. */
function* outlineBlock(runs: LogRuns, page: PageSearch, block: number): Generator<undefined, void, undefined> {
  const end = outlinedEnd(block);
  if (end > runs.head) return;
  const outliner = new Outliner();
  const after = runs.endBefore(end - OUTLINED + 1);
  let last = { last_position: after, mark: "" };
  for (let isRead = false; !isRead; ) {
    if (page.isPartOver) {
      yield;
      page.beginPart();
    }
    isRead = true;
    for (const row of runs.rowsAfter(last.last_position)) {
      if (row.last_position > end) break;
      const lines = firstPositionOf(row) === last.last_position + 1 ? intact(row) : undefined;
      if (lines === undefined) return;
      for (const { content } of lines) outliner.add(row.stream_id, parseContent(content));
      page.spend(lines.length, row.events.length);
      last = row;
      isRead = !page.isPartOver;
      if (!isRead) break;
    }
  }
  if (last.last_position > after) runs.outlines.put(outliner, after, last);
}

/** The rest of a part, over rows that the memory does not know. */
function lookAtRows(runs: LogRuns, page: PageSearch, matches: Matches): void {
  // If few rows are of streams that match, the events of the others are not worth reading.
  const isSparse = page.rows.passed > page.rows.read / 2;
  for (const row of isSparse ? runs.placesAfter(page.position) : runs.rowsAfter(page.position)) {
    if (page.isOver || page.isPartOver) return;
    const { last_position: end } = row;
    if (end > page.rowsUpTo) {
      // Its block may have an outline.
      page.rowsUpTo = page.position;
      return;
    }
    const first = firstPositionOf(row);
    // Rows that are missing are not noted: what is remembered begins anew behind them.
    if (first > page.position + 1) page.meetDamage(page.position + 1, first - 1);
    if (page.isOver) return;
    const { position: from, matcher } = page;
    page.rows.read++;
    let isMatch = false;
    if (matcher.stream(row.stream_id)) {
      isMatch = hasEvents(row) ? page.look(row) : page.lookAt(end);
    } else {
      page.rows.passed++;
      page.spend(0, hasEvents(row) ? row.events.length : 0);
      page.pass(end);
    }
    // A row that was not read to its end is looked at again.
    if (page.position === end) matches.note(from, end, isMatch);
  }
}

function hasEvents(row: RowPlace | LogRow): row is LogRow {
  return "events" in row;
}

/** Merges the rows of the streams in the order of their positions. It reads no more of them than it needs. */
function* searchStreams(runs: LogRuns, page: PageSearch, streams: readonly string[]): Generator<undefined, void, undefined> {
  // Streams that have been looked at to their ends may grow meanwhile.
  const upTo = runs.head;
  const all: StreamEnds[] = [];
  for (let i = 0; i < streams.length; i += PLACES) {
    if (page.isPartOver) {
      yield;
      page.beginPart();
    }
    const some = streams.slice(i, i + PLACES);
    all.push(...runs.placesIn(some, page.position).map((place) => new StreamEnds(runs, place, page.position)));
    page.spend(some.length * PLACE_LOOKS);
  }
  for (;;) {
    const next = firstOf(all);
    if (next === undefined || next[1].end > upTo) {
      page.position = upTo;
      return;
    }
    const [first, { end, damaged }] = next;
    if (page.isOver) return;
    if (page.isPartOver) {
      yield;
      page.beginPart();
    }
    if (damaged === undefined) page.lookAt(end);
    else if (end > page.position) page.meetDamage(Math.max(damaged.first, page.position + 1), end);
    if (page.position < end) return;
    first.take();
  }
}

/** The answer to a request, as JSON. */
export function pageOf(runs: LogRuns, { events, position, digest, damaged }: FoundEvents): string {
  const ends = `"position":${position},"mark":"${runs.markAt(position)}","head":${runs.head},"digest":"${digest}"`;
  const skipped = damaged.length === 0 ? "" : `,"damaged":${JSON.stringify(damaged)}`;
  return `{"log":"${runs.log}","events":[${events.join(",")}],${ends}${skipped}}`;
}
