/**
 * Where the lines of a file go in a stream. What the store has of the file counts as there, and the rest is appended:
 *
 *     store   1 2 3 4 5                      the file is the whole stream, or has grown: 1 … 5 are there, 6 and 7 are appended
 *     file    1 2 3 4 5 6 7
 *     file          4 5 6 7                  a part of it, as `split` or `tail` write it: the same
 *     file              6 7                  the next part: all of it is appended
 *     file    1 2 x 4                        the store has another event than x: the file is refused
 *
 * A line with an id is found by it. A line without one gets an id that is made from its place and content, so it is there if the store has
 * exactly that id at that place. The place of the first such line is not known: `#candidates` are the places that fit all lines so far.
 * Pure: the caller reads the store.
 */
import { createHash, hash } from "node:crypto";
import type { NewEvent, RecordedEvent } from "../client/index.ts";
import type { EventBody } from "../shared/event/event.ts";
import { CommandError } from "./command-error.ts";
import type { EventLine } from "./event-line.ts";
import { sortedJson } from "./sorted-json.ts";

/** What is known of an event with an id, in the store or in the file. */
interface Known {
  readonly version: number;
  readonly content: string;
}

/** A place for the lines so far: the version before the first line, and the version of the last one. */
interface Candidate {
  readonly start: number;
  readonly at: number;
}

/** A line, and its event as it would be appended. */
export interface CheckedLine extends EventLine {
  readonly body: EventBody;
  /** Characters of the line. */
  readonly size: number;
}

/** Places that are tried at the same time. Only a stream with many equal events has more of them, and each costs a digest for each line. */
const MOST_CANDIDATES = 100;

export class Placement {
  readonly #streamId: string;
  /** Ids of the store's events, in the order of their versions. */
  readonly #ids: readonly string[];
  readonly #known = new Map<string, Known>();
  /** Contents of the store's events, with their times. */
  readonly #stored: ReadonlySet<string>;
  #candidates: readonly Candidate[];
  #first: CheckedLine | undefined;
  /** Whether the store has the event of a line without an id, though maybe not at its place, or whether too many places had it to try. */
  #isRepeated = false;
  /** The first line that is not where any of the lines before it are in the store. */
  #parted: CheckedLine | undefined;

  /** @param stored the events of the stream, in the order of their versions */
  constructor(streamId: string, stored: readonly RecordedEvent[]) {
    this.#streamId = streamId;
    this.#ids = stored.map(({ id }) => id);
    for (const event of stored) this.#known.set(event.id, { version: event.version, content: contentOf(event) });
    this.#stored = new Set(stored.map((event) => contentOf(event) + event.occurredAt));
    this.#candidates = [...this.#ids, ""].map((_, version) => ({ start: version, at: version }));
  }

  /** The version of the stream in the store. */
  get version(): number {
    return this.#ids.length;
  }

  /**
   * Places the next line. Called for all lines of the stream, then `settle`, then again for all lines: only then the answer is final.
   *
   * @returns the version that the line gets, with its id; undefined if it is there
   * @throws CommandError if the store has another event at the line's place, or with the line's id
   */
  place(line: CheckedLine): { readonly version: number; readonly id: string } | undefined {
    this.#first ??= line;
    return line.event.id === undefined ? this.#placeByContent(line) : this.#placeById(line, line.body.id);
  }

  #placeById(line: CheckedLine, id: string) {
    const content = contentOf(line.body);
    const known = this.#known.get(id);
    if (known !== undefined) {
      if (known.content !== content) throw contradiction(line, `another event of ${this.#streamId} has the id ${id} already.`);
      const before = this.#candidates.filter(({ at }) => at < known.version);
      if (before.length === 0) return undefined; // the file has the line twice
      this.#candidates = before.slice(0, 1).map(({ start }) => ({ start, at: known.version }));
      return known.version > this.version ? { version: known.version, id } : undefined;
    }
    const last = this.#candidates.find(({ at }) => at >= this.version);
    if (last === undefined || isWithin(line, this.version)) throw this.#other(line);
    this.#candidates = [{ start: last.start, at: last.at + 1 }];
    this.#known.set(id, { version: last.at + 1, content });
    return { version: last.at + 1, id };
  }

  #placeByContent(line: CheckedLine) {
    if (line.event.occurredAt !== undefined && this.#stored.has(contentOf(line.body) + line.body.occurredAt)) this.#isRepeated = true;
    const fits = ({ at }: Candidate) =>
      at >= this.version ? !isWithin(line, this.version) : this.#ids[at] === eventIdFor(this.#streamId, at + 1, line.event);
    const next = this.#candidates.filter(fits);
    if (next.length === 0) throw this.#other(line);
    const inStore = next.filter(this.#isInStore);
    if (inStore.length > MOST_CANDIDATES) this.#isRepeated = true;
    if (inStore.length === 0 && this.#candidates.some(this.#isInStore)) this.#parted ??= line;
    // Behind the end of the stream, all later lines fit. So the first place there is the best one.
    const behind = next.slice(inStore.length, inStore.length + 1);
    this.#candidates = [...inStore.slice(0, MOST_CANDIDATES), ...behind].map(({ start, at }) => ({ start, at: at + 1 }));
    const version = this.#candidates[0]?.at ?? 0;
    return version <= this.version ? undefined : { version, id: eventIdFor(this.#streamId, version, line.event) };
  }

  /**
   * Chooses the place at which most lines are there, and returns to the first line.
   *
   * @throws CommandError if the store has other events and there is no sign that the file continues them
   */
  settle(): void {
    const chosen = this.#candidates[0];
    if (chosen === undefined || this.#first === undefined) return;
    const isContinued = this.version > 0 && chosen.start === this.version;
    if (isContinued && this.#isRepeated) throw this.#other(this.#parted ?? this.#first);
    // An id of version 5 was made by an import.
    if (isContinued && this.#first.version === undefined && this.#ids.at(-1)?.[14] !== "5") throw this.#other(this.#first);
    this.#candidates = [{ start: chosen.start, at: chosen.start }];
  }

  readonly #isInStore = ({ at }: Candidate): boolean => at < this.version;

  #other(line: CheckedLine): CommandError {
    return contradiction(line, `${this.#streamId} is at version ${this.version} there, with other events than in the file.`);
  }
}

function contradiction({ number }: EventLine, reason: string): CommandError {
  const remedy = "Import the file into a new store. If it is a part of a file, import all parts as one.";
  return new CommandError(`line ${number} contradicts the store: ${reason} Nothing was written. ${remedy}`);
}

/** Whether the line's own version is one that the store has. */
function isWithin({ version }: EventLine, stored: number): boolean {
  return version !== undefined && version <= stored;
}

/** A digest of everything that a repeated event must have in common with the first one. The order of keys does not matter. */
function contentOf({ type, schemaVersion, data, metadata }: Omit<EventBody, "id" | "occurredAt">): string {
  return hash("sha1", sortedJson([type, schemaVersion, data, metadata]), "base64");
}

/** RFC 9562 section 5.5: the same place and content always get the same id, so that an import that is run again appends nothing twice. */
export function eventIdFor(streamId: string, version: number, event: NewEvent): string {
  const digest = createHash("sha1")
    .update(NAMESPACE)
    .update(JSON.stringify([streamId, version, event]))
    .digest();
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x50;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  const hex = digest.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

/** Headwater's own namespace, a random UUID chosen once. */
const NAMESPACE = Buffer.from("5f0c1d1e8e3b4b0fa1b72a4be0d3c9f4", "hex");
