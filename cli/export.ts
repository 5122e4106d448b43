/** `headwater export`: every event in position order, one JSON object a line, and a line at the end that counts and digests them. */
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { EdgeStore } from "../client/http.ts";
import { CommandError } from "./command-error.ts";
import { endLine, LinesDigest } from "./end-line.ts";
import { eventsIn, Progress } from "./progress.ts";

/** @param out a path. Default: standard output */
export async function exportStore(store: EdgeStore, out: string | undefined): Promise<void> {
  const progress = new Progress("events exported", await eventsIn(store));
  async function* lines(): AsyncGenerator<string> {
    const digest = new LinesDigest();
    for await (const event of store.readAll()) {
      const line = JSON.stringify(event);
      digest.add(line, event.id);
      yield `${line}\n`;
      progress.at(digest.events, digest.events);
    }
    yield `${endLine(digest.end())}\n`;
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
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
