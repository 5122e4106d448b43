/**
 * What the edge tells its log: one JSON line for each request and each fault. No payloads, no tokens, no query and no actor: a
 * line may be kept for long, and read by whoever runs the edge.
 */
import type { EdgeEnv } from "../env.ts";

export type LogFields = Readonly<Record<string, string | number | undefined>>;

/** What happened, and where. */
export function logFault(where: string, error: unknown, fields: LogFields = {}): void {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  console.error(lineOf({ level: "error", where, message, ...fields }));
}

export interface RequestFields {
  readonly method: string;
  /** Without its query, which may hold what is asked for. */
  readonly path: string;
  readonly status: number;
  /** Where it was refused. */
  readonly code: string | undefined;
  /** Milliseconds until the answer began. The platform's clock stands still but for its own I/O. */
  readonly duration: number;
  readonly store: string | undefined;
  readonly request: string;
}

/** @param env with `LOG = "faults"` only those that the edge could not answer are told, by `logFault` */
export function logRequest({ LOG }: Pick<EdgeEnv, "LOG">, fields: RequestFields): void {
  if (LOG === "faults") return;
  const path = fields.path.slice(0, LONGEST_PATH);
  if (fields.status < 500) console.log(lineOf({ level: "info", ...fields, path }));
  else console.error(lineOf({ level: "error", ...fields, path }));
}

/** A store's and a stream's id at their longest, and the rest of the path. */
const LONGEST_PATH = 400;

/** What a terminal or a viewer would not show as a part of the line: line breaks that JSON leaves alone, and marks of direction. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

function lineOf(fields: LogFields): string {
  return JSON.stringify(fields).replaceAll(UNSEEN, (character) =>
    Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}
