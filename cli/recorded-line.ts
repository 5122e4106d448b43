/** Parses a line of a backup: an event as it was recorded, with its place. Nothing in it is ignored, and nothing is filled in. */
import { HeadwaterError } from "../shared/errors.ts";
import { parseRecorded, type RecordedContent } from "../shared/event/recorded.ts";
import { DEFAULT_LIMITS } from "../shared/limits.ts";
import { parseStreamId } from "../shared/stream-id.ts";
import { CommandError } from "./command-error.ts";
import { columnOf, readLine, shown } from "./event-line.ts";

export interface RecordedLine {
  /** Of the line, from 1. */
  readonly number: number;
  readonly text: string;
  readonly streamId: string;
  readonly version: number;
  readonly position: number;
  readonly content: RecordedContent;
}

/** The edge that the events come from may have had larger limits. The one that takes them checks its own. */
const LIMITS = { ...DEFAULT_LIMITS, eventBytes: DEFAULT_LIMITS.bodyBytes, jsonDepth: 10 * DEFAULT_LIMITS.jsonDepth };
const REMEDY = "A backup has the events as the edge recorded them: export it again, or use import for other files.";

/** @throws CommandError with the number of the line, and the column if there is one */
export function parseRecordedLine(text: string, number: number): RecordedLine {
  const { given, fail } = readLine(text, number);
  const ordinal = (name: "version" | "position"): number => {
    const value = given[name];
    if (!Number.isSafeInteger(value) || Number(value) < 1) throw fail(`an invalid ${name}, ${shown(value)},`, name, REMEDY);
    return Number(value);
  };
  try {
    const streamId = parseStreamId(given["streamId"]);
    return {
      number,
      text,
      streamId,
      version: ordinal("version"),
      position: ordinal("position"),
      content: parseRecorded(given, LIMITS, "event"),
    };
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    const name = /^(?:event\.)?(\w+)/.exec(error.details.field ?? "")?.[1] ?? "";
    throw new CommandError(`line ${number}, column ${columnOf(text, name)}: ${error.message} ${REMEDY}`, { cause: error });
  }
}
