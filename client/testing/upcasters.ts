/** For an app's tests: recorded samples of every older version, run through the upcasters and the schemas of today. Of no test runner. */

import type { EventBody } from "../../shared/event/event.ts";
import { type EventTypes, upcastEvent } from "../../shared/event/event-types.ts";
import { refusalOf, type StandardSchema } from "../../shared/event/standard-schema.ts";
import { messageOf } from "../../shared/thrown.ts";

/** An event as it was recorded, a line of an export say; of it, no more than these is needed. */
export type EventSample = Pick<EventBody, "type" | "schemaVersion" | "data"> & Partial<Pick<EventBody, "id" | "metadata" | "occurredAt">>;

/**
 * Resolves where each sample reads as data that its type's schema accepts, the same on each reading, and each older version of each type
 * has a sample. Versions can't be made up afterwards: keep a sample of each when you raise it.
 *
 * @throws an Error that tells all that is wrong, a line for each
 */
export async function replaySamples(types: EventTypes, samples: readonly EventSample[]): Promise<void> {
  const faults = await Promise.all(samples.map(async (sample, i) => named(sample, i, await faultOf(types, sample))));
  const lines = [...faults.flat(), ...missingSamples(types, samples)];
  if (lines.length > 0) throw new Error(`The samples do not replay:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

function named({ type, schemaVersion }: EventSample, i: number, fault: string | undefined): string[] {
  return fault === undefined ? [] : [`samples[${i}], ${type} of version ${schemaVersion}: ${fault}`];
}

/** The event that a sample is of, whole. */
export function recordedOf(sample: EventSample): EventBody {
  return { id: "00000000-0000-4000-8000-000000000000", metadata: {}, occurredAt: "2026-01-01T00:00:00.000Z", ...sample };
}

async function faultOf(types: EventTypes, sample: EventSample): Promise<string | undefined> {
  const recorded = recordedOf(sample);
  const current = types.get(sample.type);
  if (current === undefined) return "the type is not registered.";
  let read: EventBody;
  try {
    const { event, isKnown } = upcastEvent(types, recorded);
    if (!isKnown) return `the type is at version ${current.version}.`;
    read = event;
    if (JSON.stringify(upcastEvent(types, recorded).event.data) !== JSON.stringify(event.data)) {
      return "its upcasters answer otherwise each time: they take nothing but the event into account.";
    }
  } catch (error) {
    return messageOf(error);
  }
  if (current.schema === undefined) return undefined;
  const [answer] = await Promise.allSettled([ask(current.schema, read.data)]);
  const refusal = refusalOf(answer);
  return refusal === undefined ? undefined : `data${refusal.path} is not as version ${current.version} has it: ${refusal.message}`;
}

/** What a schema throws at once is the answer, too. */
async function ask(schema: StandardSchema, data: unknown): Promise<unknown> {
  return schema["~standard"].validate(data);
}

function missingSamples(types: EventTypes, samples: readonly EventSample[]): string[] {
  return [...types].flatMap(([type, { upcasters }]) =>
    upcasters
      .map((_, i) => i + 1)
      .filter((version) => !samples.some((sample) => sample.type === type && sample.schemaVersion === version))
      .map((version) => `there is no sample of ${type} of version ${version}.`),
  );
}
