/**
 * How far a device is with sending a long outbox: for a page to show. It begins when many commits wait, and ends when all are sent, or when
 * sending stops.
 *
 *     none ── many commits wait, online ──► under way ── all sent, or no longer online ──► none
 *
 * What it does not do: keep time. `client/sync/session.ts` passes it.
 */

/** As an app sees it. */
export interface SendProgress {
  /** Commits that the edge has taken since this began. */
  readonly sent: number;
  /** These, and all that wait to be sent. */
  readonly total: number;
  /** Events that the edge took each second, lately. Null until that is known. */
  readonly eventsPerSecond: number | null;
  /** Seconds until all is sent, if it goes on like this. Null until that is known. */
  readonly secondsLeft: number | null;
}

/** What the edge has taken, counted from any beginning. */
export interface Sent {
  readonly commits: number;
  readonly events: number;
}

interface Sample extends Sent {
  /** Milliseconds. */
  readonly time: number;
}

export interface ProgressFacts {
  readonly sent: Sent;
  /** Pending commits that the edge has not taken. */
  readonly unsent: number;
  readonly isOnline: boolean;
  /** Milliseconds. */
  readonly now: number;
}

/** Sending that is under way. */
export interface Run {
  /** Commits that the edge had taken when it began. */
  readonly before: number;
  readonly unsent: number;
  /** When what was sent changed: the last ones, oldest first. */
  readonly samples: readonly [Sample, ...Sample[]];
}

/** A shorter outbox is sent at once, so that a page need not show it. */
const MANY = 100;
/** The rate is of so many milliseconds. */
const LATELY = 10_000;

/** @param run undefined: none is under way */
export function advanceProgress(run: Run | undefined, { sent, unsent, isOnline, now }: ProgressFacts): Run | undefined {
  if (!isOnline || unsent === 0 || (run === undefined && unsent < MANY)) return undefined;
  const sample = { ...sent, time: now };
  if (run === undefined) return { before: sent.commits, unsent, samples: [sample] };
  const last = run.samples.at(-1);
  if (last?.commits === sent.commits && last.events === sent.events) return { ...run, unsent };
  // The last sample before that time is kept, so that there are two.
  const first = run.samples.findLastIndex(({ time }) => time <= now - LATELY);
  const [oldest = sample, ...later] = run.samples.slice(Math.max(0, first));
  return { before: run.before, unsent, samples: [oldest, ...later, sample] };
}

export function progressOf(run: Run | undefined): SendProgress | null {
  if (run === undefined) return null;
  const { before, unsent, samples } = run;
  const [first] = samples;
  const last = samples.at(-1) ?? first;
  const sent = Math.max(0, last.commits - before);
  const seconds = (last.time - first.time) / 1000;
  const commits = last.commits - first.commits;
  const isKnown = seconds > 0 && commits > 0;
  return {
    sent,
    total: sent + unsent,
    eventsPerSecond: isKnown ? Math.round((last.events - first.events) / seconds) : null,
    secondsLeft: isKnown ? Math.ceil((unsent * seconds) / commits) : null,
  };
}
