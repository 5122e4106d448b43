/** Reads the lines of a file one at a time, however large it is. */
import { createReadStream } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { DEFAULT_LIMITS } from "../shared/limits.ts";
import { CommandError } from "./command-error.ts";
import type { RereadableFile } from "./rereadable-file.ts";

export interface NumberedText {
  /** From 1; blank lines count. */
  readonly number: number;
  readonly text: string;
}

export interface Source {
  readonly lines: AsyncIterable<NumberedText>;
  /** Bytes of the file read so far. */
  readonly bytesRead: () => number;
}

const { eventBytes, bodyBytes } = DEFAULT_LIMITS;
/** Bytes of a line. A line may be longer than its event, because of blanks and escapes, but no event needs as many as a whole request. */
const LINE_BYTES = bodyBytes;
const LINE_BREAK = 0x0a;

/** Gzip is recognized by its first two bytes. */
export function openLines({ path, name }: RereadableFile): Source {
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    // Small pieces, so that the progress of a zipped file has more than a few steps.
    for await (const chunk of createReadStream(path, { highWaterMark: 16 * 1024 }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  async function* lines(): AsyncGenerator<NumberedText> {
    try {
      yield* split(await unzipped(counted()));
    } catch (error) {
      if (error instanceof CommandError) throw error;
      throw new CommandError(`${name} can't be read: ${(error as Error).message}`, { cause: error });
    }
  }
  return { lines: lines(), bytesRead: () => bytes };
}

async function unzipped(chunks: AsyncGenerator<Buffer>): Promise<AsyncIterable<Buffer>> {
  const first = await chunks.next();
  async function* all(): AsyncGenerator<Buffer> {
    if (first.done !== true) yield first.value;
    yield* chunks;
  }
  if (first.done === true || first.value[0] !== 0x1f || first.value[1] !== 0x8b) return all();
  const gunzip = createGunzip();
  pipeline(Readable.from(all()), gunzip, () => undefined); // an error destroys `gunzip`, and so its reader gets it
  return gunzip;
}

/** Each byte is looked at once, also in a line of many chunks. */
async function* split(chunks: AsyncIterable<Buffer>): AsyncGenerator<NumberedText> {
  let number = 1;
  let pieces: Buffer[] = [];
  let length = 0;
  const add = (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
    if (length <= LINE_BYTES) return;
    throw new CommandError(
      `line ${number}: An event's data and metadata can have at most ${eventBytes} bytes together, but the line has more than ${LINE_BYTES}.`,
    );
  };
  const take = (): NumberedText => {
    const line = { number, text: decode(Buffer.concat(pieces), number) };
    number++;
    pieces = [];
    length = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_BREAK); end !== -1; end = chunk.indexOf(LINE_BREAK, from)) {
      add(chunk.subarray(from, end));
      yield take();
      from = end + 1;
    }
    add(chunk.subarray(from));
  }
  if (length > 0) yield take();
}

function decode(bytes: Buffer, number: number): string {
  try {
    // A byte order mark is only at the beginning of a file.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: number > 1 }).decode(bytes);
  } catch (error) {
    throw new CommandError(
      `line ${number} can't be read: it is not valid UTF-8 at column ${brokenColumn(bytes)}. Save the file as UTF-8.`,
      {
        cause: error,
      },
    );
  }
}

function brokenColumn(bytes: Buffer): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let column = 1;
  try {
    for (const byte of bytes) column += decoder.decode(Uint8Array.of(byte), { stream: true }).length;
  } catch {
    // This is the byte.
  }
  return column;
}
