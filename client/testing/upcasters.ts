/** For an app's tests, with any test runner: checks recorded samples of every older version with the upcasters and schemas of today. */

import type { EventBody } from "../../shared/event/event.ts";
import { type EventTypes, upcastEvent } from "../../shared/event/event-types.ts";
import { refusalOf, type StandardSchema } from "../../shared/event/standard-schema.ts";
import { messageOf } from "../../shared/thrown.ts";

/** An event as it was recorded, e.g. a line of an export. Only `type`, `schemaVersion` and `data` are required. */
export type EventSample = Pick<EventBody, "type" | "schemaVersion" | "data"> & Partial<Pick<EventBody, "id" | "metadata" | "occurredAt">>;

/**
 * Resolves if three things are true: each sample reads as data that the schema of its type accepts, each reading gives the same data, and
 * each older version of each type has a sample. Old data can't be made up afterwards, so keep a sample of a version when you raise it.
 *
 * @throws Error that lists everything that is wrong, one line each
 */
export async function replaySamples(types: EventTypes, samples: readonly EventSample[]): Promise<void> {
  const faults = await Promise.all(samples.map(async (sample, i) => named(sample, i, await faultOf(types, sample))));
  const lines = [...faults.flat(), ...missingSamples(types, samples)];
  if (lines.length > 0) throw new Error(`The samples do not fit the event types:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

function named({ type, schemaVersion }: EventSample, i: number, fault: string | undefined): string[] {
  return fault === undefined ? [] : [`samples[${i}], ${type} of version ${schemaVersion}: ${fault}`];
}

/** The whole event of a sample, with defaults for the fields that it leaves out. */
export function recordedOf(sample: EventSample): EventBody {
  return { id: "00000000-0000-4000-8000-000000000000", metadata: {}, occurredAt: "2026-01-01T00:00:00.000Z", ...sample };
}

async function faultOf(types: EventTypes, sample: EventSample): Promise<string | undefined> {
  const recorded = recordedOf(sample);
  const current = types.get(sample.type);
  if (current === undefined) return "the type is not registered. Add it to the event types.";
  let read: EventBody;
  try {
    const { event, isKnown } = upcastEvent(types, recorded);
    if (!isKnown) return `the type is at version ${current.version}, which can't read it.`;
    read = event;
    if (JSON.stringify(upcastEvent(types, recorded).event.data) !== JSON.stringify(event.data)) {
      return "its upcasters return different data each time. They must depend on the event alone.";
    }
  } catch (error) {
    return messageOf(error);
  }
  if (current.schema === undefined) return undefined;
  const [answer] = await Promise.allSettled([ask(current.schema, read.data)]);
  const refusal = refusalOf(answer);
  return refusal === undefined ? undefined : `the schema of version ${current.version} rejects data${refusal.path}: ${refusal.message}`;
}

/** Turns an error that a schema throws synchronously into a rejection. */
async function ask(schema: StandardSchema, data: unknown): Promise<unknown> {
  return schema["~standard"].validate(data);
}

function missingSamples(types: EventTypes, samples: readonly EventSample[]): string[] {
  return [...types].flatMap(([type, { upcasters }]) =>
    upcasters
      .map((_, i) => i + 1)
      .filter((version) => !samples.some((sample) => sample.type === type && sample.schemaVersion === version))
      .map((version) => `there is no sample of ${type} of version ${version}. Add one.`),
  );
}
