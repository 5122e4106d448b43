/** Reads the lines of a file one at a time, however large it is. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { NewEvent } from "../client/index.ts";
import { CommandError } from "./command-error.ts";

/** An event of the file, and its stream. */
export interface Line {
  readonly number: number;
  readonly streamId: string;
  /** Without an id if the file has none. */
  readonly event: NewEvent;
}

export interface Source {
  readonly lines: AsyncIterable<string>;
  /** Bytes of the file read so far. */
  readonly bytesRead: () => number;
}

/** @param file a path, or `-` for standard input; gzip is recognized by its first two bytes */
export function openLines(file: string): Source {
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    // Small pieces, so that the progress of a zipped file has more than a few steps.
    const raw: Readable = file === "-" ? process.stdin : createReadStream(file, { highWaterMark: 16 * 1024 });
    for await (const chunk of raw as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  async function* lines(): AsyncGenerator<string> {
    try {
      yield* split(await unzipped(counted()));
    } catch (error) {
      throw new CommandError(`${file} can't be read: ${(error as Error).message}`);
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

async function* split(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  yield rest + decoder.decode();
}

type Given = Readonly<Record<string, unknown>>;

/**
 * Parses a line as other systems write it, `{"stream","type","time","actor","data"}`, or as `headwater export` writes it. The actor of the
 * former goes into the metadata, since an event's own `actor` is who the edge authenticated.
 *
 * @throws CommandError with the number of the line
 */
export function parseLine(text: string, number: number): Line {
  let given: Given;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw new CommandError(`line ${number} is not valid JSON: ${(error as Error).message}`);
  }
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new CommandError(`line ${number} is not a JSON object: write one event a line.`);
  const streamId = given["streamId"] ?? given["stream"];
  if (typeof streamId !== "string") throw new CommandError(`line ${number} has no stream: add "stream" or "streamId".`);
  const { type, data } = given;
  if (typeof type !== "string") throw new CommandError(`line ${number} has no "type": add the type of the event.`);
  const metadata = metadataOf(given);
  const occurredAt = timeOf(given, number);
  return {
    number,
    streamId,
    event: {
      ...pick(given, "id"),
      ...pick(given, "schemaVersion"),
      type,
      data: data ?? null,
      metadata,
      ...(occurredAt === undefined ? {} : { occurredAt }),
    },
  };
}

function pick(given: Given, name: "id" | "schemaVersion"): object {
  return given[name] === undefined ? {} : { [name]: given[name] };
}

function metadataOf(given: Given): NewEvent["metadata"] & object {
  const metadata = typeof given["metadata"] === "object" && given["metadata"] !== null ? given["metadata"] : {};
  const actor = "position" in given ? undefined : given["actor"];
  return typeof actor === "string" ? { ...metadata, actor } : { ...metadata };
}

function timeOf(given: Given, number: number): string | undefined {
  const time = given["occurredAt"] ?? given["time"];
  if (time === undefined) return undefined;
  const milliseconds = typeof time === "string" ? Date.parse(time) : Number.NaN;
  if (Number.isNaN(milliseconds))
    throw new CommandError(`line ${number} has an invalid time, ${JSON.stringify(time)}: write it in ISO 8601.`);
  return new Date(milliseconds).toISOString();
}

/** RFC 9562 section 5.5: the same place and content always get the same id, so that an import that is run again appends nothing twice. */
export function eventIdFor(streamId: string, version: number, event: NewEvent): string {
  const hash = createHash("sha1")
    .update(NAMESPACE)
    .update(JSON.stringify([streamId, version, event]))
    .digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

/** Headwater's own namespace, a random UUID chosen once. */
const NAMESPACE = Buffer.from("5f0c1d1e8e3b4b0fa1b72a4be0d3c9f4", "hex");
