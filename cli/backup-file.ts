/**
 * Reads a backup: the file of an export. It is checked as a whole before anything is restored from it. Positions and versions must follow each
 * other, ids must not repeat in a stream, and the end line must fit.
 */
import { CommandError } from "./command-error.ts";
import { type FileEnd, LinesDigest, parseEndLine } from "./end-line.ts";
import { columnOf } from "./event-line.ts";
import { openLines } from "./lines.ts";
import { Progress } from "./progress.ts";
import { parseRecordedLine, type RecordedLine } from "./recorded-line.ts";
import type { RereadableFile } from "./rereadable-file.ts";

export interface Backup {
  readonly end: FileEnd;
  /** The last version of each stream. */
  readonly streams: ReadonlyMap<string, number>;
}

/** The events of the file, without its end line. */
export async function* recordedLines(
  file: RereadableFile,
  onRead: (bytes: number) => void = () => undefined,
): AsyncGenerator<RecordedLine> {
  const source = openLines(file);
  for await (const { number, text } of source.lines) {
    onRead(source.bytesRead());
    if (text.trim() !== "" && parseEndLine(text) === undefined) yield parseRecordedLine(text, number);
  }
}

/** @throws CommandError that names the line, and the column if there is one */
export async function checkBackup(file: RereadableFile): Promise<Backup> {
  const source = openLines(file);
  const progress = new Progress("lines checked", file.size);
  const digest = new LinesDigest();
  const streams = new Map<string, StreamCheck>();
  let end: FileEnd | undefined;
  try {
    for await (const { number, text } of source.lines) {
      if (text.trim() === "") continue;
      if (end !== undefined) throw new CommandError(`line ${number} is behind the end line: a backup is the file of one export.`);
      end = parseEndLine(text);
      if (end !== undefined) {
        assertFits(number, end, digest.end());
        continue;
      }
      const line = parseRecordedLine(text, number);
      assertFollows(line, "position", digest.events, "The file lacks events before it");
      const own = streams.get(line.streamId) ?? { version: 0, ids: new Set() };
      streams.set(line.streamId, own);
      assertFollows(line, "version", own.version, `The file lacks events of ${line.streamId} before it`);
      if (own.ids.has(line.content.id)) {
        throw new CommandError(`line ${number}, column ${columnOf(text, "id")}: ${line.streamId} has the id ${line.content.id} twice.`);
      }
      own.version = line.version;
      own.ids.add(line.content.id);
      digest.add(text, line.content.id);
      progress.at(source.bytesRead(), digest.events);
    }
  } finally {
    progress.end();
  }
  if (end === undefined) {
    throw new CommandError(
      `${file.name} has no end line after its ${digest.events} events: it was cut, or is not the file of an export. Export it again, or use import, which takes such a file.`,
    );
  }
  return { end, streams: new Map([...streams].map(([streamId, { version }]) => [streamId, version])) };
}

/** Consecutive versions of one stream. */
export interface BackupRun {
  readonly streamId: string;
  readonly firstVersion: number;
  readonly events: RecordedLine["content"][];
}

/** Lines at consecutive positions, as the log's routes take them. */
export function backupRuns(lines: readonly RecordedLine[]): BackupRun[] {
  const runs: BackupRun[] = [];
  for (const { streamId, version, content } of lines) {
    const last = runs.at(-1);
    if (last?.streamId === streamId) last.events.push(content);
    else runs.push({ streamId, firstVersion: version, events: [content] });
  }
  return runs;
}

interface StreamCheck {
  version: number;
  readonly ids: Set<string>;
}

/** Positions of a whole store, and versions of a whole stream, are 1 … n. */
function assertFollows(line: RecordedLine, name: "position" | "version", before: number, problem: string): void {
  if (line[name] === before + 1) return;
  const remedy =
    name === "position"
      ? ", as an export of a damaged store does, and its last line says which, or one with a token that can't read the whole store; or they are in another order"
      : ", or they are in another order";
  throw new CommandError(
    `line ${line.number} has the ${name} ${line[name]} at column ${columnOf(line.text, name)}, where ${before + 1} comes next: ${problem}${remedy}.`,
  );
}

/** @throws CommandError if the lines before it are others than those that the end line counts and digests */
export function assertFits(number: number, end: FileEnd, found: FileEnd): void {
  if (found.events !== end.events) {
    throw new CommandError(
      `line ${number}: the end line counts ${end.events} events, but the file has ${found.events}: lines were added or are missing.`,
    );
  }
  if (found.sha256 !== end.sha256 || found.mark !== end.mark) {
    throw new CommandError(`line ${number}: the lines were changed after the export: their SHA-256 is ${found.sha256}, not ${end.sha256}.`);
  }
}
