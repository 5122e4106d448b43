/** What the routes of operators share: events of a backup in a request, and calls of the log. */
import { parseRecorded } from "../../shared/event/recorded.ts";
import type { Limits } from "../../shared/limits.ts";
import type { EdgeEnv } from "../env.ts";
import type { LogObject } from "../log/log-object.ts";
import { callObject, type Retries } from "../objects/calls.ts";
import { toLines } from "../objects/run-text.ts";

/** The events as the edge stores them. @param field how errors name what holds them, e.g. `streams[0].` */
export function recordedLinesOf(streamId: string, firstVersion: number, events: readonly unknown[], limits: Limits, field: string): string {
  const parsed = events.map((event, i) => parseRecorded(event, limits, `${field}events[${i}]`));
  return toLines(streamId, firstVersion, parsed);
}

export function callLog<T>(
  env: EdgeEnv,
  store: string,
  call: (log: DurableObjectStub<LogObject>) => Promise<T>,
  retries?: Retries,
): Promise<T> {
  return callObject(() => env.LOGS.getByName(store), call, retries);
}
