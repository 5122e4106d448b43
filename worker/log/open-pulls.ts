/**
 * The pulls that wait for news, by what their readers get. Readers with the same filter and the same grants are one group, so a new event is
 * matched once for each group, however many sockets it has.
 *
 *     new row ──► group {category: A}   ──► matches: its sockets are due
 *             ──► group {type: Granted} ──► does not match
 */
import type { Reach } from "../../shared/edge/grants.ts";
import { StorageDamagedError } from "../../shared/errors.ts";
import { SharedLine } from "../objects/run-text.ts";
import { type CompleteQuery, Matcher, readerKey } from "./feed-page.ts";
import { firstPositionOf, intact, type LogRow } from "./log-rows.ts";
import type { Found } from "./read-turns.ts";

/** What is known of a pull that waits no longer. */
export interface Due {
  /** Of its group. */
  readonly key: string;
  /** Behind the pull's `after`, nothing matches up to this position. */
  readonly emptyUpTo: number;
}

class Group {
  readonly sockets = new Map<WebSocket, CompleteQuery>();
  readonly key: string;
  readonly #query: CompleteQuery;
  readonly #reach: Reach;
  #matcher: Matcher | undefined;

  constructor(key: string, query: CompleteQuery, reach: Reach) {
    this.key = key;
    this.#query = query;
    this.#reach = reach;
  }

  /** @param lines undefined if the row is damaged. Nobody knows then whether it matches, and the page will say it */
  matches({ stream_id: streamId }: LogRow, lines: readonly SharedLine[] | undefined): boolean {
    this.#matcher ??= new Matcher(this.#query, this.#reach);
    const matcher = this.#matcher;
    return matcher.stream(streamId) && (lines === undefined || lines.some((line) => matcher.line(line)));
  }
}

/** What is needed of the log. */
export interface ReadableLog {
  head(): number;
  /** The rows that have events after a position, in order. */
  rowsAfter(position: number): Iterable<LogRow>;
}

/** Events that are matched with groups in one turn, each with each. */
const TURN_MATCHES = 4000;
/** How many positions a reader may fall behind if nothing matches, so that it does not wake for each of them. */
export const PASSED_OVER = 1_000;

/** Whether a reader whose pull waits gets a page. A page that ends before damage did not get to all news. */
export function isWorthSending(found: Found, after: number): boolean {
  if (found instanceof StorageDamagedError) return true;
  const { events, position, damaged, isCut } = found;
  return events.length > 0 || damaged.length > 0 || isCut || position - after >= PASSED_OVER;
}

export class OpenPulls {
  /** Up to here the log has been matched with all of them; undefined after a wake. */
  lookedTo: number | undefined;
  /** Before the log gets here, none of them is too far behind. */
  #passedOverAt = 0;
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<WebSocket, Group>();

  /** Equal for sockets of one group. */
  keyOf(socket: WebSocket): string | undefined {
    return this.#groupOf.get(socket)?.key;
  }

  has(socket: WebSocket): boolean {
    return this.#groupOf.has(socket);
  }

  /** @param pull of which it is known that nothing is there for it yet */
  keep(socket: WebSocket, pull: CompleteQuery, reach: Reach): void {
    this.delete(socket);
    const key = readerKey(pull, reach);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new Group(key, pull, reach);
      this.#groups.set(key, group);
    }
    group.sockets.set(socket, pull);
    this.#groupOf.set(socket, group);
  }

  delete(socket: WebSocket): void {
    const group = this.#groupOf.get(socket);
    if (group === undefined) return;
    this.#groupOf.delete(socket);
    group.sockets.delete(socket);
    if (group.sockets.size === 0) this.#groups.delete(group.key);
  }

  haveSeen({ head }: ReadableLog): boolean {
    return (this.lookedTo ?? 0) >= head();
  }

  /** Matches new rows with them, for one turn. @returns whose readers get something; undefined if there are no new rows */
  lookAtNews(log: ReadableLog): Map<WebSocket, Due> | undefined {
    if (this.haveSeen(log)) return undefined;
    const due = new Map<WebSocket, Due>();
    this.lookedTo = this.#groups.size === 0 ? log.head() : this.#matchRows(log, this.lookedTo ?? 0, due);
    if (this.lookedTo < this.#passedOverAt) return due;
    this.#addPassedOver(this.lookedTo, due);
    this.#passedOverAt = Math.min(this.first(due), this.lookedTo) + PASSED_OVER;
    return due;
  }

  /** @returns the position that it came to */
  #matchRows(log: ReadableLog, after: number, due: Map<WebSocket, Due>): number {
    let position = after;
    let matches = 0;
    for (const row of log.rowsAfter(after)) {
      this.#match(row, position, due);
      matches += (row.last_position - position) * this.#groups.size;
      position = row.last_position;
      if (matches >= TURN_MATCHES) break;
    }
    return position;
  }

  /** The position after which the first of them waits; infinite if none does. @param except sockets that are left out */
  first(except: ReadonlyMap<WebSocket, unknown> = new Map()): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { sockets } of this.#groups.values()) {
      for (const [socket, { after }] of sockets) if (after < first && !except.has(socket)) first = after;
    }
    return first;
  }

  /** @param position up to which they have been matched */
  #match(row: LogRow, position: number, due: Map<WebSocket, Due>): void {
    const lines = intact(row)?.map(({ content }) => new SharedLine(content));
    // Nobody knows of whom the missing rows are.
    const isBehindMissing = firstPositionOf(row) > position + 1;
    for (const group of this.#groups.values()) {
      if (!isBehindMissing && !group.matches(row, lines)) continue;
      for (const [socket, { after }] of group.sockets) {
        if (after < row.last_position && !due.has(socket)) due.set(socket, { key: group.key, emptyUpTo: position });
      }
    }
  }

  /** Those that are far behind, with nothing for them. */
  #addPassedOver(position: number, due: Map<WebSocket, Due>): void {
    for (const { key, sockets } of this.#groups.values()) {
      for (const [socket, { after }] of sockets) {
        if (position - after >= PASSED_OVER && !due.has(socket)) due.set(socket, { key, emptyUpTo: position });
      }
    }
  }
}
