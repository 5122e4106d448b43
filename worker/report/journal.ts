/**
 * What the edge logs: one JSON line for each request and each fault. A line has no payloads, no tokens, no query and no actor, since it
 * may be kept for long and is read by everybody who runs the edge.
 */
import { toVisible } from "../../shared/visible.ts";
import type { EdgeEnv } from "../env.ts";

export type LogFields = Readonly<Record<string, string | number | undefined>>;

/** Logs an unexpected error. @param where one of the places that docs/operations.md lists */
export function logFault(where: string, error: unknown, fields: LogFields = {}): void {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  console.error(lineOf({ level: "error", where, message, ...fields }));
}

const loggedSettings = new Set<string>();

/** Logs what is wrong with the settings of the deployment: once for each isolate, since every request finds it again. */
export function logSettingsFault(message: string): void {
  if (loggedSettings.has(message)) return;
  loggedSettings.add(message);
  logFault("settings", new Error(message));
}

export interface RequestFields {
  readonly method: string;
  /** Without its query, which may contain what the caller searches for. */
  readonly path: string;
  readonly status: number;
  /** The error's, if the request was rejected. */
  readonly code: string | undefined;
  /** Why a web page of another origin may not send the request, or the one that it asks about. It names the origin, or headers. */
  readonly reason: string | undefined;
  /** Milliseconds until the response began. The platform's clock advances only with its I/O. */
  readonly duration: number;
  readonly store: string | undefined;
  readonly request: string;
}

/** @param env with `LOG = "faults"` no request is logged; one that the edge could not answer is logged by `logFault` */
export function logRequest({ LOG }: Pick<EdgeEnv, "LOG">, fields: RequestFields): void {
  if (LOG === "faults") return;
  const path = fields.path.slice(0, LONGEST_PATH);
  if (fields.status < 500) console.log(lineOf({ level: "info", ...fields, path }));
  else console.error(lineOf({ level: "error", ...fields, path }));
}

/** Characters: the longest ids of a store and a stream, and the rest of the path. */
const LONGEST_PATH = 400;

function lineOf(fields: LogFields): string {
  return toVisible(JSON.stringify(fields));
}
