/** The events that all sides are given. */
import type { ConfirmedEvent, Json, NewEvent } from "../../client/index.ts";
import { toPosition, toVersion } from "../../shared/order.ts";

/** A line of the files in `test/data/`. */
export interface Line {
  readonly stream: string;
  readonly type: string;
  readonly time: string;
  readonly actor: string;
  readonly data: Json;
}

/** An event with its place, as a side is given it. */
export interface GivenEvent {
  readonly id: string;
  readonly streamId: string;
  readonly version: number;
  readonly position: number;
  readonly type: string;
  readonly data: Json;
  readonly metadata: { readonly actor: string };
  readonly occurredAt: string;
}

/** @param most how many lines, from the first */
export async function readLines(name: string, most = Number.POSITIVE_INFINITY): Promise<Line[]> {
  const text = await (await fetch(`/${name}.ndjson`)).text();
  const lines: Line[] = text
    .trimEnd()
    .split("\n")
    .slice(0, most)
    .map((line) => JSON.parse(line));
  return lines.map((line) => ({ ...line, time: new Date(line.time).toISOString() }));
}

/** The lines as events, each with its version and position. */
export function placed(lines: readonly Line[]): GivenEvent[] {
  const versions = new Map<string, number>();
  return lines.map(({ stream, type, data, actor, time }, i) => {
    const version = (versions.get(stream) ?? 0) + 1;
    versions.set(stream, version);
    return { id: crypto.randomUUID(), streamId: stream, version, position: i + 1, type, data, metadata: { actor }, occurredAt: time };
  });
}

/** As many events as wanted: the lines again and again, each time in streams of other names. */
export function repeated(lines: readonly Line[], count: number): Line[] {
  return Array.from({ length: count }, (_, i) => {
    const line = lines[i % lines.length];
    if (line === undefined) throw new Error("There are no lines.");
    const times = Math.floor(i / lines.length);
    return times === 0 ? line : { ...line, stream: `${line.stream}.${times}` };
  });
}

/** Neighbours of one stream together, as an app commits them. */
export function runsOf(events: readonly GivenEvent[]): GivenEvent[][] {
  const runs: GivenEvent[][] = [];
  for (const event of events) {
    const last = runs.at(-1);
    if (last?.[0]?.streamId === event.streamId) last.push(event);
    else runs.push([event]);
  }
  return runs;
}

export function newEvent({ type, data, metadata, occurredAt }: GivenEvent): NewEvent {
  return { type, data, metadata, occurredAt };
}

export function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** As the edge sends it, and as a device without a library would store it. */
export function recordOf(event: GivenEvent): ConfirmedEvent {
  const { version, position, occurredAt } = event;
  return { ...event, version: toVersion(version), position: toPosition(position), schemaVersion: 1, recordedAt: occurredAt, actor: null };
}
