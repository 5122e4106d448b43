/**
 * The first reading of an import: checks every line, and compares each stream of the file with the store. It writes nothing, so an error
 * leaves the store as it was, and a dry run ends after it.
 */
import type { EdgeStore } from "../client/http.ts";
import { ForbiddenError, type RecordedEvent, StreamNotFoundError } from "../client/index.ts";
import { HeadwaterError } from "../shared/errors.ts";
import { CommandError } from "./command-error.ts";
import { ExportedPart } from "./end-line.ts";
import { type EventLine, parseLine } from "./event-line.ts";
import { eachInFlight } from "./in-flight.ts";
import { type NumberedText, openLines } from "./lines.ts";
import { type CheckedLine, Placement } from "./placement.ts";
import { Progress } from "./progress.ts";
import type { RereadableFile } from "./rereadable-file.ts";

/** Memory has the id of each event that the store has in the streams of the file, or that the file gives one. */
export interface ImportPlan {
  readonly placements: ReadonlyMap<string, Placement>;
  /** Streams that the token can't read. They were compared with nothing. */
  readonly unread: ReadonlySet<string>;
  /** The number of the last line that was checked. */
  readonly lastLine: number;
}

/** A line and where it goes; `place` is undefined if it is there. */
export interface PlacedLine {
  readonly line: CheckedLine;
  readonly place: { readonly version: number; readonly id: string } | undefined;
}

/** Lines that are compared together: their streams are read side by side. */
const WINDOW_LINES = 1000;
const WINDOW_SIZE = 1024 * 1024;

export async function planImport(store: EdgeStore, file: RereadableFile): Promise<ImportPlan> {
  const placements = new Map<string, Placement>();
  const unread = new Set<string>();
  const source = openLines(file);
  const progress = new Progress("lines checked", file.size);
  let lastLine = 0;
  try {
    for await (const lines of windows(checkedLines(store, source.lines))) {
      const added = new Set(lines.map(({ streamId }) => streamId).filter((streamId) => !placements.has(streamId)));
      await eachInFlight(added, async (streamId) => {
        const stored = await readStored(store, streamId);
        if (stored === undefined) unread.add(streamId);
        placements.set(streamId, new Placement(streamId, stored ?? []));
      });
      for (const line of lines) placements.get(line.streamId)?.place(line);
      lastLine = lines.at(-1)?.number ?? lastLine;
      progress.at(source.bytesRead(), lastLine);
    }
  } finally {
    progress.end();
  }
  for (const placement of placements.values()) placement.settle();
  return { placements, unread, lastLine };
}

/** The second reading: the lines with their final places. Lines that came into the file after the first reading are left out. */
export async function* placedLines(
  store: EdgeStore,
  { placements, lastLine }: ImportPlan,
  lines: AsyncIterable<NumberedText>,
): AsyncGenerator<PlacedLine> {
  for await (const line of checkedLines(store, lines)) {
    if (line.number > lastLine) return;
    yield { line, place: placements.get(line.streamId)?.place(line) };
  }
}

async function* checkedLines(store: EdgeStore, lines: AsyncIterable<NumberedText>): AsyncGenerator<CheckedLine> {
  const part = new ExportedPart();
  for await (const { number, text } of lines) {
    if (text.trim() === "" || part.ends(text, number)) continue;
    const line = check(store, parseLine(text, number));
    part.add(text);
    yield { ...line, size: text.length };
  }
}

function check(store: EdgeStore, line: EventLine): EventLine & Pick<CheckedLine, "body"> {
  try {
    const [body] = store.prepare(line.streamId, [line.event]).events;
    if (body === undefined) throw new Error("A commit has the events that it was made of.");
    return { ...line, body };
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    throw new CommandError(`line ${line.number}: ${error.message}`, { cause: error });
  }
}

async function* windows(lines: AsyncIterable<CheckedLine>): AsyncGenerator<readonly CheckedLine[]> {
  let window: CheckedLine[] = [];
  let size = 0;
  for await (const line of lines) {
    window.push(line);
    size += line.size;
    if (window.length < WINDOW_LINES && size < WINDOW_SIZE) continue;
    yield window;
    window = [];
    size = 0;
  }
  if (window.length > 0) yield window;
}

/** Undefined if the token may only append. Then the edge alone finds the commits that it has, if the same file is imported again. */
async function readStored(store: EdgeStore, streamId: string): Promise<readonly RecordedEvent[] | undefined> {
  try {
    return (await store.readStream(streamId)).events;
  } catch (error) {
    if (error instanceof StreamNotFoundError) return [];
    if (error instanceof ForbiddenError) return undefined;
    throw error;
  }
}
