/** `headwater export`: every event in position order, one JSON object a line, and a line at the end that counts and digests them. */
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { DamagedSpan, EdgeStore } from "../client/http.ts";
import { placesOf } from "../shared/places.ts";
import { CommandError } from "./command-error.ts";
import { endLine, LinesDigest } from "./end-line.ts";
import { jsonLine } from "./output.ts";
import { healthOf, Progress } from "./progress.ts";

/**
 * Goes on behind what the store can't read.
 *
 * @param out a path. Default: standard output
 * @throws CommandError that names the positions that the file lacks, once all others are written
 */
export async function exportStore(store: EdgeStore, out: string | undefined): Promise<void> {
  const damaged: DamagedSpan[] = [];
  const health = await healthOf(store);
  const progress = new Progress("events exported", health?.events);
  async function* lines(): AsyncGenerator<string> {
    const digest = new LinesDigest();
    for await (const event of store.readAll({ onDamaged: (span) => damaged.push(span) })) {
      const line = jsonLine(event);
      digest.add(line.slice(0, -1), event.id);
      yield line;
      progress.at(digest.events, digest.events);
    }
    yield `${endLine({ ...digest.end(), ...(damaged.length > 0 && { damaged }) })}\n`;
  }
  try {
    await pipeline(lines, out === undefined ? process.stdout : createWriteStream(out), { end: out !== undefined });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // The reader has closed the pipe, as in `headwater export | head`.
    if (out === undefined && error.code === "EPIPE") return;
    throw new CommandError(`${out ?? "standard output"} can't be written: ${error.message}`);
  } finally {
    progress.end();
  }
  if (damaged.length > 0) {
    throw new CommandError(
      `the file lacks what the store can't read, because the log's storage is damaged: ${damaged.map(positionsOf).join(", ")}. All other events are in it. Run headwater verify to see which events these are.`,
    );
  }
  const lost = health?.lostHistory ?? null;
  if (lost !== null) {
    throw new CommandError(
      `the file has what the log has now, and the log once reached #${lost.head} with another history: it has lost its end, was put back, or deleted. Keep your older backups, and see headwater verify.`,
    );
  }
}

/** Positions of the log. */
export function positionsOf({ first, last }: DamagedSpan): string {
  return placesOf("position", first, last);
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
