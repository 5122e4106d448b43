/**
 * Parses a line as other systems write it, `{"stream","type","time","actor","data"}`, or as `export` and `tail` write it. The actor of the
 * former goes into the metadata, since an event's own `actor` is who the edge authenticated. Nothing in a line is ignored or guessed: a
 * name that is not known is an error, and so is a number or a time that can't be stored as it is.
 */
import type { NewEvent } from "../client/index.ts";
import { isObject } from "../shared/json.ts";
import { brokenAt, lostMessage, lostNumber, namesOf, pathText } from "../shared/json-text.ts";
import { isUtcTime } from "../shared/time.ts";
import { toUtc } from "../shared/zoned-time.ts";
import { CommandError } from "./command-error.ts";

/** An event of the file, and its stream. */
export interface EventLine {
  readonly number: number;
  readonly streamId: string;
  /** The version that the event had in the store that it was exported from; undefined if the line has none. */
  readonly version: number | undefined;
  /** Without an id if the line has none. */
  readonly event: NewEvent;
}

/** Names that a line may have. Those of the last row are of recorded events, and are recorded anew. */
const NAMES: readonly string[] = [
  ...["stream", "streamId", "type", "time", "occurredAt", "actor", "data", "metadata", "id", "schemaVersion"],
  ...["version", "position", "recordedAt", "pending", "state"],
];
/** What other systems call it. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  stream: ["stream_id", "streamname", "stream_name", "aggregateid", "aggregate_id"],
  type: ["eventtype", "event_type", "kind", "name"],
  time: ["timestamp", "@timestamp", "date", "datetime", "at", "occurred_at", "createdat", "created_at", "created"],
  actor: ["user", "userid", "user_id", "by"],
  data: ["payload", "body", "content", "value"],
  metadata: ["meta", "headers"],
  id: ["eventid", "event_id", "uuid"],
};

type Given = Readonly<Record<string, unknown>>;

export interface ReadLine {
  readonly given: Given;
  readonly fail: Fail;
}

/** @throws CommandError with the number of the line, and the column if there is one */
export function readLine(text: string, number: number): ReadLine {
  const given = parse(text, number);
  const fail: Fail = (problem, name, remedy) =>
    new CommandError(`line ${number} has ${problem} at column ${columnOf(text, name)}: ${remedy}`);
  assertNames(text, given, fail);
  const lost = lostNumber(text);
  if (lost !== undefined) {
    const place = `line ${number} has a number that would change at column ${lost.at + 1}`;
    throw new CommandError(`${place}: ${pathText(lost.path, "it")} ${lostMessage(lost)}`);
  }
  return { given, fail };
}

/** Where a member of the line begins, from 1. */
export function columnOf(text: string, name: string): number {
  return (namesOf(text).findLast((found) => found.name === name)?.at ?? 0) + 1;
}

/** @throws CommandError with the number of the line, and the column if there is one */
export function parseLine(text: string, number: number): EventLine {
  const { given, fail } = readLine(text, number);
  const streamId = given["streamId"] ?? given["stream"];
  if (typeof streamId !== "string") throw new CommandError(`line ${number} has no stream: add "stream" or "streamId".`);
  const { type, data, version } = given;
  if (typeof type !== "string") throw new CommandError(`line ${number} has no "type": add the type of the event.`);
  if (version !== undefined && !(Number.isSafeInteger(version) && Number(version) > 0))
    throw fail(`an invalid version, ${shown(version)},`, "version", "write a whole number from 1, or leave it out.");
  const metadata = metadataOf(given, fail);
  const occurredAt = timeOf(given, fail);
  return {
    number,
    streamId,
    version: version === undefined ? undefined : Number(version),
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

function parse(text: string, number: number): Given {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    const at = brokenAt(text) ?? text.length;
    const reason = at >= text.trimEnd().length ? "the line ends too early" : `${JSON.stringify(text[at])} can't be here`;
    throw new CommandError(`line ${number} is not valid JSON at column ${at + 1}: ${reason}.`, { cause: error });
  }
  if (isObject(given) && !Array.isArray(given)) return given;
  throw new CommandError(`line ${number} is not a JSON object: write one event a line.`);
}

/** @param remedy what to do, as a sentence */
type Fail = (problem: string, name: string, remedy: string) => CommandError;

/** `JSON.parse` takes the last of two members with the same name, and the names that nobody reads would be left out. */
function assertNames(text: string, given: Given, fail: Fail): void {
  const seen = new Set<string>();
  for (const { name } of namesOf(text)) {
    if (!NAMES.includes(name)) throw fail(`an unknown name, ${shown(name)},`, name, remedyFor(name, given));
    if (seen.has(name)) throw fail(`${shown(name)} twice, the second time`, name, "leave one of them out.");
    seen.add(name);
  }
  for (const [one, other] of [
    ["stream", "streamId"],
    ["time", "occurredAt"],
  ] as const) {
    if (one in given && other in given) throw fail(`"${one}" besides "${other}"`, one, "leave one of them out.");
  }
}

function remedyFor(name: string, given: Given): string {
  const known = Object.entries(OTHER_NAMES).find(([, others]) => others.includes(name.toLowerCase()))?.[0];
  const sameWord = NAMES.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  const right = sameWord ?? known;
  if (right !== undefined && !(right in given)) return `rename it to "${right}".`;
  return 'put it into "data" or "metadata", or leave it out.';
}

function pick(given: Given, name: "id" | "schemaVersion"): object {
  return given[name] === undefined ? {} : { [name]: given[name] };
}

function metadataOf(given: Given, fail: Fail): NewEvent["metadata"] & object {
  const metadata = given["metadata"] ?? {};
  if (!isObject(metadata) || Array.isArray(metadata))
    throw fail(`"metadata" that is ${typeof metadata === "string" ? "text" : "not an object"}`, "metadata", "write it as an object.");
  const actor = "position" in given ? null : (given["actor"] ?? null);
  if (actor === null) return { ...metadata } as NewEvent["metadata"] & object;
  if (typeof actor !== "string") throw fail('an "actor" that is not text', "actor", 'write it as text, or put it into "metadata".');
  if ("actor" in metadata && metadata["actor"] !== actor)
    throw fail('an "actor" besides another one in "metadata"', "actor", "leave one of them out.");
  return { ...metadata, actor } as NewEvent["metadata"] & object;
}

/** A recorded event keeps its time as it is. Another system's time is stored in UTC. */
function timeOf(given: Given, fail: Fail): string | undefined {
  const name = "occurredAt" in given ? "occurredAt" : "time";
  const time = given[name];
  if (time === undefined) return undefined;
  const utc = name === "occurredAt" && isUtcTime(time) ? time : toUtc(time);
  if (utc !== undefined) return utc;
  throw fail(`an invalid time, ${shown(time)},`, name, "write a time that exists, in ISO 8601 with a zone, e.g. 2026-01-31T09:30:00Z.");
}

/** A value of a line, in an error. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
