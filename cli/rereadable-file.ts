/** An import reads its file twice: it checks all of it before it writes anything. Standard input, or a pipe, can be read only once. */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { CommandError } from "./command-error.ts";

export interface RereadableFile {
  readonly path: string;
  /** How errors name it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * Calls `use` with the file. What can be read only once is copied into a temporary file, which is deleted afterwards.
 *
 * @param file a path, or `-` for standard input
 */
export async function withRereadable<T>(file: string, use: (file: RereadableFile) => Promise<T>): Promise<T> {
  const name = file === "-" ? "standard input" : file;
  const found = file === "-" ? undefined : await statOf(file);
  if (found?.isFile()) return use({ path: file, name, size: found.size });
  const folder = await mkdtemp(join(tmpdir(), "headwater-import-"));
  try {
    const path = join(folder, "lines");
    await copy(file, path, name);
    return await use({ path, name, size: (await stat(path)).size });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function statOf(file: string) {
  try {
    return await stat(file);
  } catch (error) {
    throw unreadable(file, error);
  }
}

async function copy(file: string, path: string, name: string): Promise<void> {
  try {
    await pipeline(file === "-" ? process.stdin : createReadStream(file), createWriteStream(path));
  } catch (error) {
    throw unreadable(name, error);
  }
}

function unreadable(name: string, error: unknown): CommandError {
  return new CommandError(`${name} can't be read: ${(error as Error).message}`, { cause: error });
}
