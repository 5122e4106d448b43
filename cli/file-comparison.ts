/**
 * Compares the events of a store with those of a file. Memory has a digest of each event of the file; the ones that differ are read again at the
 * end, to say in what.
 */
import { hash } from "node:crypto";
import type { ConfirmedEvent } from "../client/index.ts";
import { differingField, type RecordedContent } from "../shared/event/recorded.ts";
import { assertFits } from "./backup-file.ts";
import { CommandError } from "./command-error.ts";
import { LinesDigest, parseEndLine } from "./end-line.ts";
import { openLines } from "./lines.ts";
import { Progress } from "./progress.ts";
import { parseRecordedLine } from "./recorded-line.ts";
import type { RereadableFile } from "./rereadable-file.ts";
import { sortedJson } from "./sorted-json.ts";

interface Known {
  readonly line: number;
  readonly position: number;
  readonly digest: string;
  isSeen: boolean;
}

/** Events whose difference is looked up in the file. */
const MOST_DETAILS = 20;

export class FileComparison {
  readonly #file: RereadableFile;
  /** By stream, and then by version. */
  readonly #streams = new Map<string, Map<number, Known>>();
  readonly #findings: string[] = [];
  /** Events of the store that differ, by the line of the file. */
  readonly #differing = new Map<number, ConfirmedEvent>();
  #compared = 0;

  private constructor(file: RereadableFile) {
    this.#file = file;
  }

  /** @throws CommandError if a line is not one of an export */
  static async read(file: RereadableFile): Promise<FileComparison> {
    const comparison = new FileComparison(file);
    const source = openLines(file);
    const progress = new Progress("lines read", file.size);
    const digest = new LinesDigest();
    let hasEnd = false;
    try {
      for await (const { number, text } of source.lines) {
        if (text.trim() === "") continue;
        const end = parseEndLine(text);
        if (end !== undefined) {
          hasEnd = true;
          comparison.#try(() => assertFits(number, end, digest.end()));
          continue;
        }
        const { streamId, version, position, content } = parseRecordedLine(text, number);
        comparison.#learn(streamId, version, { line: number, position, digest: digestOf(content), isSeen: false });
        digest.add(text, content.id);
        progress.at(source.bytesRead(), digest.events);
      }
    } finally {
      progress.end();
    }
    if (!hasEnd) comparison.#findings.push(`${file.name} has no end line: it was cut, or is not the file of an export.`);
    return comparison;
  }

  #try(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#findings.push(error.message);
    }
  }

  #learn(streamId: string, version: number, known: Known): void {
    const own = this.#streams.get(streamId) ?? new Map<number, Known>();
    this.#streams.set(streamId, own);
    const before = own.get(version);
    if (before === undefined) own.set(version, known);
    else this.#findings.push(`line ${known.line}: ${streamId}@${version} is in line ${before.line} already.`);
  }

  /** How errors name the file. */
  get name(): string {
    return this.#file.name;
  }

  /** Events that are in both. */
  get compared(): number {
    return this.#compared;
  }

  /** Compares an event of the store with the file. */
  add(event: ConfirmedEvent): void {
    const { streamId, version, position } = event;
    const known = this.#streams.get(streamId)?.get(version);
    if (known === undefined) {
      this.#findings.push(`${streamId}@${version} (#${position}) is in the store and not in the file.`);
      return;
    }
    known.isSeen = true;
    this.#compared++;
    if (known.position !== position) {
      this.#findings.push(`line ${known.line}: ${streamId}@${version} is #${known.position} in the file and #${position} in the store.`);
    }
    if (known.digest !== digestOf(event)) this.#differing.set(known.line, event);
  }

  /** What is missing, too much or different, once all events of the store were added. */
  async findings(): Promise<readonly string[]> {
    const missing = [...this.#streams].flatMap(([streamId, own]) =>
      [...own].flatMap(([version, { line, position, isSeen }]) =>
        isSeen ? [] : [{ line, text: `line ${line}: ${streamId}@${version} (#${position}) is in the file and not in the store.` }],
      ),
    );
    const inOrder = missing.toSorted((a, b) => a.line - b.line).map(({ text }) => text);
    return [...this.#findings, ...(await this.#differences()), ...inOrder];
  }

  async #differences(): Promise<string[]> {
    const found: string[] = [];
    if (this.#differing.size === 0) return found;
    for await (const { number, text } of openLines(this.#file).lines) {
      const event = this.#differing.get(number);
      if (event === undefined) continue;
      const { streamId, version, position, content } = parseRecordedLine(text, number);
      if (found.length < MOST_DETAILS) {
        found.push(`line ${number}: ${streamId}@${version} (#${position}) differs in ${differingField(content, event) ?? "its form"}.`);
      } else found.push(`line ${number}: ${streamId}@${version} (#${position}) differs.`);
    }
    return found;
  }
}

/** The order of keys does not matter. */
function digestOf({ id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor }: RecordedContent): string {
  return hash("sha1", sortedJson([id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor]), "base64");
}
