/**
 * A reconciliation, as the log sees it: rows that are damaged, missing or out of place get their events from the streams again, or from a backup,
 * at the positions that they had. The marks prove it: from the last good row before, the ids of the events must lead to the mark of a row behind.
 *
 *     good row │ damaged, missing │ good row │ good row
 *        mark ─┴──── ids of the candidates ──┴► its mark, or that of the next one
 *
 * It works in portions. What it can't prove it leaves as it is.
 */
import { arrangements, type Candidate } from "../../shared/edge/reconcile.ts";
import { markAfter } from "../../shared/mark.ts";
import type { Places } from "../../shared/places.ts";
import type { ReconciledLog } from "../../shared/wire/reconcile.ts";
import type { EdgeEnv } from "../env.ts";
import { callObject } from "../objects/calls.ts";
import { unwrap } from "../objects/refused.ts";
import { idOf, linesOf, parseLine, runsOf } from "../objects/run-text.ts";
import type { StoredLines } from "../objects/stored-lines.ts";
import type { RestoredRun } from "./log-restore.ts";
import { firstPositionOf, intact, type LogRow, type RowPlace } from "./log-rows.ts";
import type { LogRuns } from "./log-runs.ts";
import type { MatchMemory } from "./match-memory.ts";

/** Rows of a portion, unless damage is at its end. */
const ROWS = 2_000;
/** Events that a search looks at, at most. */
const MOST_CANDIDATES = 20_000;
/** Calls of streams for a search, at most: an object may make 50 calls in a request on the free plan. */
const MOST_RUNS = 40;

interface Logged extends Candidate {
  readonly line: string;
}

/** What a request brings of a backup, from a position on. */
interface Backup {
  readonly first: number;
  readonly events: readonly Logged[];
}

interface GoodRow {
  readonly last: number;
  readonly mark: string;
  readonly ids: readonly string[];
}

/** Positions between two good rows at which the log can't be read, or none, if the mark behind them does not fit. */
interface Broken extends Places {
  /** The mark before them. */
  readonly mark: string;
  /** Whether a row before them has this mark by its own events: it may be the broken one otherwise. */
  readonly isSure: boolean;
  readonly rows: readonly LogRow[];
  /** The good row behind them, and the one behind that; undefined if the log ends before. */
  readonly next: GoodRow | undefined;
  readonly afterNext: GoodRow | undefined;
}

export class LogReconcile {
  readonly #env: EdgeEnv;
  readonly #store: string;
  readonly #runs: LogRuns;
  readonly #memory: MatchMemory;

  constructor(env: EdgeEnv, store: string, runs: LogRuns, memory: MatchMemory) {
    this.#env = env;
    this.#store = store;
    this.#runs = runs;
    this.#memory = memory;
  }

  /**
   * @param after the position behind which the portion begins
   * @param given events of a backup from there on, for what no stream has
   */
  async portion(after: number, dryRun: boolean, given: readonly RestoredRun[]): Promise<ReconciledLog> {
    const backup = {
      first: after + 1,
      events: given.flatMap(({ streamId, firstVersion, events }) =>
        linesOf(events).map((line, i) => toLogged(streamId, firstVersion + i, line)),
      ),
    };
    // An earlier version of the edge may have repaired the log, and knows nothing of outlines.
    if (after === 0 && !dryRun) this.#runs.outlines.clear();
    // A row is checked from its beginning.
    const { broken, position } = this.#scan(this.#runs.endBefore(after + 1));
    const repaired: Places[] = [];
    const lost: Places[] = [];
    for (const part of broken) {
      const events = (await this.#find(part)) ?? this.#given(part, backup);
      const last = isMarkAlone(part) ? (part.next?.last ?? part.last) : part.last;
      (events === undefined ? lost : repaired).push({ first: part.first, last });
      if (events !== undefined && !dryRun) this.#write(part, events);
    }
    return { position, head: this.#runs.head, repaired, lost };
  }

  #scan(after: number): { readonly broken: readonly Broken[]; readonly position: number } {
    const broken: (Broken & { next: GoodRow | undefined; afterNext: GoodRow | undefined })[] = [];
    let at = { position: after, mark: this.#runs.markAt(after) };
    let bad: LogRow[] = [];
    let isSure = after === 0;
    let count = 0;
    for (const row of this.#runs.rowsAfter(after)) {
      const lines = intact(row);
      const first = firstPositionOf(row);
      if (lines === undefined || first <= at.position) {
        bad.push(row);
        continue;
      }
      const good = { last: row.last_position, mark: row.mark, ids: lines.map(({ content }) => idOf(content)) };
      const last = broken.at(-1);
      if (last?.next?.last === first - 1) last.afterNext ??= good;
      // A portion does not end between what is broken and the rows that prove how it was.
      else if (count > ROWS && bad.length === 0) break;
      const mark = markAfter(at.mark, good.ids);
      if (bad.length > 0 || first > at.position + 1 || (mark !== row.mark && last?.next?.last !== at.position)) {
        broken.push({ first: at.position + 1, last: first - 1, mark: at.mark, isSure, rows: bad, next: good, afterNext: undefined });
      }
      bad = [];
      isSure = mark === row.mark;
      at = { position: row.last_position, mark: row.mark };
      count++;
    }
    const end = bad.at(-1)?.last_position;
    if (end !== undefined) {
      broken.push({ first: at.position + 1, last: end, mark: at.mark, isSure, rows: bad, next: undefined, afterNext: undefined });
    }
    return { broken, position: end ?? at.position };
  }

  /** The events of the broken positions in their order; undefined if none are proven. */
  async #find(broken: Broken): Promise<readonly Logged[] | undefined> {
    const count = broken.last - broken.first + 1;
    const claimed = await this.#eventsOf(claims(broken));
    if (claimed.flat().length === count && this.#fits(broken, claimed.flat())) return claimed.flat();
    const all = [...claimed, ...(await this.#eventsOf(this.#gaps(broken)))];
    for (const order of arrangements(distinct(all), count)) if (isProven(broken, order)) return order;
    return undefined;
  }

  /**
   * The events that a backup has at the broken positions; undefined if the marks do not prove them, or if the log has them elsewhere by now. A
   * stream may have begun anew since it was lost: versions and positions grow together.
   */
  #given(broken: Broken, { first, events }: Backup): readonly Logged[] | undefined {
    if (broken.first < first) return undefined;
    const own = events.slice(broken.first - first, broken.last + 1 - first);
    if (own.length < broken.last - broken.first + 1 || !isProven(broken, own)) return undefined;
    const ends = new Set(broken.rows.map((row) => row.last_position));
    const versions = Map.groupBy(own, ({ streamId }) => streamId);
    for (const { stream_id, first_version, last_version, last_position } of this.#runs.placesAfter(0)) {
      const lacking = ends.has(last_position) ? undefined : versions.get(stream_id);
      const isBefore = last_position < broken.first;
      if (lacking?.some(({ version }) => (isBefore ? last_version >= version : first_version <= version))) return undefined;
    }
    return own;
  }

  /** At the log's end there may be no mark that is right. Then each row has to have its own place. */
  #fits(broken: Broken, events: readonly Logged[]): boolean {
    return broken.next === undefined || isProven(broken, events);
  }

  async #eventsOf(places: readonly RowPlace[]): Promise<Logged[][]> {
    const runs: Logged[][] = [];
    let left = MOST_CANDIDATES;
    for (const { stream_id: streamId, first_version: first, last_version: last } of places.slice(0, MOST_RUNS)) {
      const run = await this.#runOf(streamId, { first, last: Math.min(last, first + left - 1) });
      runs.push(run);
      left -= run.length;
      if (left === 0) break;
    }
    return runs;
  }

  /** The events of a stream from one version on, up to the first that the stream lacks or can't read. */
  async #runOf(streamId: string, { first, last }: Places): Promise<Logged[]> {
    const run: Logged[] = [];
    while (first + run.length <= last) {
      const { lines } = await this.#linesOf(streamId, first + run.length, last);
      for (const line of lines) {
        if (line === null) return run;
        run.push(toLogged(streamId, first + run.length, line));
      }
      if (lines.length === 0) return run;
    }
    return run;
  }

  #linesOf(streamId: string, first: number, last: number): Promise<StoredLines> {
    const name = `${this.#store}/${streamId}`;
    return callObject(
      () => this.#env.STREAMS.getByName(name),
      async (stream) => unwrap(await stream.linesOf(name, first, last)),
    );
  }

  /** Versions that the log lacks between others of the same stream. @param broken whose rows do not count */
  #gaps({ rows }: Broken): RowPlace[] {
    const ends = new Set(rows.map((row) => row.last_position));
    const heads = new Map<string, number>();
    const gaps: RowPlace[] = [];
    for (const { stream_id, first_version, last_version, last_position } of this.#runs.placesAfter(0)) {
      if (ends.has(last_position)) continue;
      const head = heads.get(stream_id) ?? 0;
      if (first_version > head + 1) gaps.push({ stream_id, first_version: head + 1, last_version: first_version - 1, last_position: 0 });
      heads.set(stream_id, Math.max(head, last_version));
    }
    return gaps;
  }

  #write({ first, last, mark, next }: Broken, events: readonly Logged[]): void {
    const rows: LogRow[] = [];
    let at = { position: first - 1, mark };
    for (const [begin, together] of ofOneStream(events)) {
      const lines = together.map(({ line }) => line);
      for (const { firstVersion, lastVersion, events: text } of runsOf(lines, begin.version)) {
        const ids = linesOf(text).map(idOf);
        at = { position: at.position + ids.length, mark: markAfter(at.mark, ids) };
        rows.push({
          last_position: at.position,
          stream_id: begin.streamId,
          first_version: firstVersion,
          last_version: lastVersion,
          events: text,
          mark: at.mark,
        });
      }
    }
    const end = next === undefined ? undefined : { position: next.last, mark: markAfter(at.mark, next.ids) };
    // Damaged rows may claim to end within the good row behind them.
    const all = { first, last: end === undefined ? last : end.position - 1 };
    this.#runs.transaction(() => this.#runs.replace(all, rows, end));
    this.#memory.forget();
  }
}

function toLogged(streamId: string, version: number, line: string): Logged {
  return { streamId, version, recordedAt: parseLine(line).recordedAt ?? "", line };
}

/** Whether nothing is broken but the mark of the row behind. */
function isMarkAlone({ first, last }: Broken): boolean {
  return last < first;
}

/** The places that damaged rows claim to have, if these fit between the rows around them. */
function claims({ first, last, rows }: Broken): RowPlace[] {
  let next = first;
  return rows.filter((row) => {
    const begin = firstPositionOf(row);
    const isPossible = row.first_version >= 1 && row.first_version <= row.last_version && begin >= next && row.last_position <= last;
    if (isPossible) next = row.last_position + 1;
    return isPossible;
  });
}

/** Each event once, also if a row claims a version that the log lacks elsewhere. */
function distinct(runs: readonly (readonly Logged[])[]): Logged[][] {
  const known = new Set<string>();
  return runs.map((run) => run.filter(({ streamId, version }) => known.size < known.add(`${streamId}@${version}`).size));
}

/** Parts of consecutive versions of one stream each, with the first event of each. */
function* ofOneStream(events: readonly Logged[]): Generator<[begin: Logged, part: readonly Logged[]]> {
  let left = events;
  for (let [begin] = left; begin !== undefined; [begin] = left) {
    const { streamId, version } = begin;
    const end = left.findIndex((event, i) => event.streamId !== streamId || event.version !== version + i);
    const part = end === -1 ? left : left.slice(0, end);
    left = left.slice(part.length);
    yield [begin, part];
  }
}

/** Whether these events lead from the mark before them to the mark of the good row behind, or, if that mark is broken, of the one after it. */
function isProven(broken: Broken, events: readonly Logged[]): boolean {
  const { mark, rows, next, afterNext } = broken;
  const end = markAfter(
    mark,
    events.map(({ line }) => idOf(line)),
  );
  if (next === undefined) return rows.at(-1)?.mark === end;
  // The log's last row proves its own events by their digests.
  if (isMarkAlone(broken) && afterNext === undefined) return broken.isSure;
  const atNext = markAfter(end, next.ids);
  return atNext === next.mark || (afterNext !== undefined && markAfter(atNext, afterNext.ids) === afterNext.mark);
}
