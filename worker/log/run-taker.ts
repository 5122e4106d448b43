/**
 * Takes published runs into the log, as `decidePublication` says. To be called in a transaction of the log.
 *
 *     log        #1 A1 │ #2 B1 │ (lost) │ #4 B2          A publishes A2 again, long after it was recorded:
 *                                  #3 A2                 the marks prove that it had the place of the row that was lost
 */
import { unreachable } from "../../shared/assert.ts";
import { decidePublication, isLate } from "../../shared/edge/publication.ts";
import { toVersion, type Version } from "../../shared/order.ts";
import { idOf, isSameEvent, linesOf, parseLine } from "../objects/run-text.ts";
import type { LogRuns } from "./log-runs.ts";
import type { PublicationAnswer, PublishedRun } from "./publication.ts";

export interface Taken {
  readonly answer: PublicationAnswer;
  /** Events that got the places back that they had before rows of the log were lost. */
  readonly refilled: number;
}

/** @param divergedAt the version at which the stream and the log differed when they were last compared @param now milliseconds since 1970 */
export function takeRun(runs: LogRuns, run: PublishedRun, divergedAt: number | undefined, now: number): Taken {
  const { streamId, firstVersion } = run;
  const lines = linesOf(run.events);
  const lastVersion = firstVersion + lines.length - 1;
  const before = runs.headOf(streamId);
  const decision = decidePublication(
    toVersion(before),
    { firstVersion: toVersion(firstVersion), lastVersion: toVersion(lastVersion) },
    {
      differsAt: previousDiffersAt(runs, run) ?? differsAt(runs, streamId, firstVersion, lines, before),
      divergedAt: divergedAt === undefined ? undefined : toVersion(divergedAt),
    },
  );
  const head = Math.max(before, lastVersion);
  switch (decision.kind) {
    case "gap":
    case "diverged":
      return { answer: decision, refilled: 0 };
    case "duplicate":
      return { answer: { kind: "published", spans: runs.spansOf(streamId, firstVersion, lastVersion), head }, refilled: 0 };
    case "take": {
      const { from } = decision;
      const known = from > firstVersion ? runs.spansOf(streamId, firstVersion, from - 1) : [];
      const left = lines.slice(from - firstVersion);
      const { recordedAt } = parseLine(left[0] ?? "");
      const refilled = isLate(Date.parse(recordedAt ?? ""), now) ? runs.refill(streamId, from, left) : [];
      const next = (refilled.at(-1)?.lastVersion ?? from - 1) + 1;
      const taken = next <= lastVersion ? [runs.add(streamId, next, left.slice(next - from))] : [];
      return { answer: { kind: "published", spans: [...known, ...refilled, ...taken], head }, refilled: next - from };
    }
    default:
      return unreachable(decision);
  }
}

/** The version before a run, if the log has another event there than the stream. */
function previousDiffersAt(runs: LogRuns, { streamId, firstVersion, previous }: PublishedRun): Version | undefined {
  if (previous === undefined) return undefined;
  const version = firstVersion - 1;
  const [logged] = runs.intactLinesOf(streamId, version, version);
  return logged === undefined || idOf(logged.line) === previous ? undefined : toVersion(version);
}

/** The first version of a run at which the log has another event. What is damaged in the log can't be compared. */
function differsAt(runs: LogRuns, streamId: string, firstVersion: number, lines: readonly string[], head: number): Version | undefined {
  if (firstVersion > head) return undefined;
  for (const { version, line } of runs.intactLinesOf(streamId, firstVersion, Math.min(head, firstVersion + lines.length - 1))) {
    if (!isSameEvent(lines[version - firstVersion] ?? "", line)) return toVersion(version);
  }
  return undefined;
}
