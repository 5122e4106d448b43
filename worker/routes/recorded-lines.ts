/** What the routes of operators share: events of a backup in a request, and calls of the log. */
import { InvalidRequestError } from "../../shared/errors.ts";
import { parseRecorded } from "../../shared/event/recorded.ts";
import { type Limits, parseCount } from "../../shared/limits.ts";
import { parseStreamId } from "../../shared/stream-id.ts";
import type { RecordedRuns } from "../../shared/wire/restore.ts";
import type { EdgeEnv } from "../env.ts";
import type { LogObject } from "../log/log-object.ts";
import type { RestoredRun } from "../log/log-restore.ts";
import { callObject, type Retries } from "../objects/calls.ts";
import { toLines } from "../objects/run-text.ts";

/** The events as the edge stores them. @param field how errors name what holds them, e.g. `streams[0].` */
export function recordedLinesOf(streamId: string, firstVersion: number, events: readonly unknown[], limits: Limits, field: string): string {
  const parsed = events.map((event, i) => parseRecorded(event, limits, `${field}events[${i}]`));
  return toLines(streamId, firstVersion, parsed);
}

/** The runs of a request. */
export function recordedRunsOf(runs: RecordedRuns, limits: Limits): RestoredRun[] {
  return runs.map(({ streamId, firstVersion, events }, i) => {
    const field = `runs[${i}].`;
    if (events.length === 0) throw new InvalidRequestError("A run must have at least one event.", { field: `${field}events` });
    const id = parseStreamId(streamId, `${field}streamId`);
    const from = parseCount(firstVersion, `${field}firstVersion`) ?? 1;
    return { streamId: id, firstVersion: from, events: recordedLinesOf(id, from, events, limits, field) };
  });
}

export function callLog<T>(
  env: EdgeEnv,
  store: string,
  call: (log: DurableObjectStub<LogObject>) => Promise<T>,
  retries?: Retries,
): Promise<T> {
  return callObject(() => env.LOGS.getByName(store), call, retries);
}
