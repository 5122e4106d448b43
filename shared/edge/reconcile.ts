/**
 * The decisions of a reconciliation. Each event is stored twice, in its stream and in the log. If one of the two lacks it, can't read it, or
 * was put back to an older copy, the other one has it.
 *
 *     version          1  2  3  4  5  6  7
 *     stream           a  ?  c  d                 ? can't be read
 *     log              a  b  c  ?  e  f
 *     the stream takes    2        5  6
 *
 *     position        #1 #2 #3 #4 #5 #6           the log's marks: 0 ─► m2 ─────────► m5 ─► m6
 *     log              a  b  ?  ?  e  f           the events at #3 and #4 are those that lead from m2 to m5
 *
 * Invariants (numbers of docs/architecture.md):
 *  2. a stream and the log get no gap and no repeat: events come to the version and position that they had;
 *  8. a recorded event does not change. If the stream and the log have different events at a version, the log's is kept: others have read
 *     it. The stream's is replaced only if an administrator says so, who has it saved.
 *
 * What it does not do: choose positions. Events that the log never had are published like any others.
 */
import { behind, inside, type Places, without } from "../places.ts";

/** How a stream and the log have the stream. */
export interface BothSides {
  /** The last version of the stream. */
  readonly version: number;
  /** The last version of the stream in the log. */
  readonly head: number;
  /** Versions that the stream can't read, in order. */
  readonly damaged: readonly Places[];
  /** Versions up to `head` that the log can't read, in order. */
  readonly unreadable: readonly Places[];
  /** The first version at which both can be read and differ. */
  readonly differsAt: number | undefined;
}

export interface ReconcilePlan {
  /** Versions that the stream takes. */
  readonly taken: readonly Places[];
  /** The stream's versions that give way, if that is allowed. */
  readonly replaced: Places | null;
  /** Versions that nobody has. */
  readonly lost: readonly Places[];
}

/** What a stream takes from the log. @param given versions that somebody else has, and that neither of the two can read */
export function planReconciled({ version, head, damaged, unreadable, differsAt }: BothSides, given: Places | null): ReconcilePlan {
  const kept = differsAt === undefined ? version : differsAt - 1;
  const wanted = [...damaged.filter(({ first }) => first <= kept), ...behind(kept, head)];
  const lacking = [...unreadable, ...behind(head, Math.max(version, head))];
  const unknown = given === null ? lacking : lacking.flatMap((places) => without(places, [given]));
  return {
    taken: wanted.flatMap((places) => without(places, unknown)),
    replaced: differsAt === undefined ? null : { first: differsAt, last: version },
    lost: wanted.flatMap((places) => inside(places, unknown)),
  };
}

/** What of a plan is carried out. */
export interface AllowedPlan {
  readonly taken: readonly Places[];
  /** The stream's versions from this one on are cut off first; null if none are. */
  readonly cutFrom: number | null;
}

/**
 * The stream's own events give way only if the request names the first of them, and if the log can be read from there on. Otherwise the stream
 * takes what is before them.
 *
 * @param replaceFrom the version that the request names; 0 if it names none
 */
export function allowedBy({ taken, replaced, lost }: ReconcilePlan, replaceFrom: number): AllowedPlan {
  if (replaced === null) return { taken, cutFrom: null };
  const { first } = replaced;
  if (first === replaceFrom && lost.every((places) => places.last < first)) return { taken, cutFrom: first };
  return { taken: taken.filter((places) => places.first < first), cutFrom: null };
}

/** An event that may belong where the log has lost some. */
export interface Candidate {
  readonly streamId: string;
  readonly version: number;
  /** ISO 8601 UTC. */
  readonly recordedAt: string;
}

/** Orders that are tried. More are not, because each costs a digest of all its events. */
const MOST_ORDERS = 2_000;
/** Runs that are put into every order. */
const MOST_RUNS = 6;

/**
 * The orders in which some of the events may have been at `count` positions, the likely ones first: the log takes events about in the order in
 * which they were recorded. Events of a stream stay in the order of their versions.
 *
 * @param runs consecutive events of a stream each
 */
export function* arrangements<C extends Candidate>(runs: readonly (readonly C[])[], count: number): Generator<readonly C[]> {
  let left = MOST_ORDERS;
  for (const orders of [ordersByTime, ordersOfRuns]) {
    for (const order of orders(runs, count)) {
      if (left-- === 0) return;
      yield order;
    }
  }
}

function* ordersByTime<C extends Candidate>(runs: readonly (readonly C[])[], count: number): Generator<readonly C[]> {
  const all = runs.flat();
  const byTime = all.toSorted((a, b) => compare(a.recordedAt, b.recordedAt) || compare(a.streamId, b.streamId) || a.version - b.version);
  for (const sorted of [byTime, all]) for (let at = 0; at + count <= sorted.length; at++) yield sorted.slice(at, at + count);
}

/** Whole runs, in every order. */
function* ordersOfRuns<C>(runs: readonly (readonly C[])[], count: number): Generator<readonly C[]> {
  const few = runs.filter((run) => run.length <= count).slice(0, MOST_RUNS);
  for (const [i, run] of few.entries()) {
    if (run.length === count) yield run;
    const others = few.filter((_, other) => other !== i);
    if (run.length < count) for (const rest of ordersOfRuns(others, count - run.length)) yield [...run, ...rest];
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
