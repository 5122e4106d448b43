/**
 * The last line of an export, `{"end":{"events","mark","sha256"}}`. It counts and digests the lines before it, so that a file that was cut, or
 * changed since, is noticed. It has nothing of the store that a restored copy would not have too: the same events give the same file.
 */
import { createHash } from "node:crypto";
import type { DamagedSpan } from "../client/http.ts";
import { isObject } from "../shared/json.ts";
import { markAfter, START_MARK } from "../shared/mark.ts";
import { isOrdinal } from "../shared/order.ts";
import { CommandError } from "./command-error.ts";

export interface FileEnd {
  readonly events: number;
  /** The log's mark after the last event, if the file has all events of a store. */
  readonly mark: string;
  /** Of the lines with their line breaks, in hexadecimal digits. */
  readonly sha256: string;
  /** Positions that the file lacks, because the store could not read them. Present if there are any. */
  readonly damaged?: readonly DamagedSpan[];
}

/** Made of the lines of a file, one after the other. */
export class LinesDigest {
  readonly #hash = createHash("sha256");
  #events = 0;
  #mark = START_MARK;

  get events(): number {
    return this.#events;
  }

  /** @param text the line without its line break */
  add(text: string, id: string): void {
    this.#hash.update(text).update("\n");
    this.#mark = markAfter(this.#mark, [id]);
    this.#events++;
  }

  end(): FileEnd {
    return { events: this.#events, mark: this.#mark, sha256: this.#hash.copy().digest("hex") };
  }
}

/**
 * Lines of an import, up to an end line. If they are all that it counts, they must be unchanged. Fewer lines are a part of an export, unless
 * they begin with its first event: then some are missing. More lines are those of several files.
 */
export class ExportedPart {
  #digest = new LinesDigest();
  #beginsWithFirst = false;

  /** @param text an object as JSON */
  add(text: string): void {
    if (this.#digest.events === 0) this.#beginsWithFirst = JSON.parse(text).position === 1;
    this.#digest.add(text, "");
  }

  /** Whether the line is an end line. @throws CommandError if lines before it are missing, or were changed */
  ends(text: string, number: number): boolean {
    const end = parseEndLine(text);
    if (end === undefined) return false;
    const found = this.#digest.end();
    this.#digest = new LinesDigest();
    const isWhole = found.events === end.events;
    if (isWhole ? found.sha256 !== end.sha256 : this.#beginsWithFirst && found.events < end.events) {
      const problem = isWhole ? "the lines before it were changed" : `it counts ${end.events} lines, and ${found.events} are before it`;
      throw new CommandError(`line ${number} does not fit: ${problem}. To import the lines as they are, remove line ${number}.`);
    }
    return true;
  }
}

export function endLine(end: FileEnd): string {
  return JSON.stringify({ end });
}

/** Undefined if the line is none. */
export function parseEndLine(text: string): FileEnd | undefined {
  if (!/^\s*\{\s*"end"/.test(text)) return undefined;
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined; // whoever reads it as an event says what is wrong
  }
  const end = isObject(line) ? line["end"] : undefined;
  if (!isObject(end) || !isOrdinal(end["events"]) || typeof end["mark"] !== "string" || typeof end["sha256"] !== "string") return undefined;
  return { events: end["events"], mark: end["mark"], sha256: end["sha256"] };
}
