/**
 * What is checked of events before they are appended, where there is a registry of event types.
 *
 *     handed over ──► completeVersions ──► parseCommit ──► questionsOf ──► the shell asks, and waits ──► assertAccepted
 *
 * A schema accepts or refuses, and changes nothing: it is asked of a copy, and what it answers beside its issues is let go of. What is
 * appended must be what was handed over: it is compared when it is sent again, and is what other devices are brought.
 */
import { assert } from "../assert.ts";
import { InvalidRequestError } from "../errors.ts";
import { copyJson } from "../json.ts";
import type { EventBody } from "./event.ts";
import type { EventTypes } from "./event-types.ts";
import { refusalOf, type Settled } from "./standard-schema.ts";

/** Versions that are taken: an app appends the current one of its own; the edge hears from apps of before, too. */
export type Taken = "current" | "known";

/** Events as they were handed over, with the versions that were left out. What is no event is left to `parseCommit` to refuse. */
export function completeVersions(types: EventTypes, events: unknown): unknown {
  return Array.isArray(events) ? events.map((event: unknown) => completeVersion(types, event)) : events;
}

function completeVersion(types: EventTypes, event: unknown): unknown {
  if (typeof event !== "object" || event === null || Array.isArray(event)) return event;
  const { id, type, schemaVersion, data, metadata, occurredAt }: Partial<Record<keyof EventBody, unknown>> = event;
  const current = typeof type === "string" ? types.get(type)?.version : undefined;
  return { id, type, schemaVersion: schemaVersion ?? current, data, metadata, occurredAt };
}

/**
 * For each event a question to its schema: called, it gives the answer, or a promise of it. Data of an older version has no schema any
 * more, and is taken as it is.
 *
 * @param field how the commit is named to the caller, e.g. `commits[3].`, or nothing
 * @throws InvalidRequestError where a type is not registered, or its version is not taken
 */
export function questionsOf(types: EventTypes, events: readonly EventBody[], taken: Taken, field = ""): readonly (() => unknown)[] {
  return events.map((event, i) => questionOf(types, event, taken, placeOf(field, i)));
}

function questionOf(types: EventTypes, { type, schemaVersion, data }: EventBody, taken: Taken, place: string): () => unknown {
  const known = types.get(type);
  if (known === undefined) {
    const sentence = `${type} is none of the event types that are registered here: register it, or mend its name.`;
    throw new InvalidRequestError(sentence, { field: `${place}.type` });
  }
  const { version, schema } = known;
  if (schemaVersion > version || (schemaVersion < version && taken === "current")) {
    const remedy =
      taken === "current" ? `hand it over as version ${version}, or leave schemaVersion out` : "deploy the edge before the app";
    const sentence = `${type} is at version ${version} here, and this event is of version ${schemaVersion}: ${remedy}.`;
    throw new InvalidRequestError(sentence, { field: `${place}.schemaVersion` });
  }
  if (schema === undefined || schemaVersion < version) return () => NOTHING_ASKED;
  return () => schema["~standard"].validate(copyJson(data, place, Number.POSITIVE_INFINITY).value);
}

/** @throws InvalidRequestError for the first event that its schema refuses */
export function assertAccepted(answers: readonly Settled[], events: readonly EventBody[], field = ""): void {
  for (const [i, { type }] of events.entries()) {
    const answer = answers[i];
    assert(answer !== undefined, "every question is answered");
    const refusal = refusalOf(answer);
    if (refusal === undefined) continue;
    const place = `${placeOf(field, i)}.data${refusal.path}`;
    throw new InvalidRequestError(`${place} is not as ${type} has it: ${refusal.message}`, { field: place });
  }
}

const NOTHING_ASKED = {};

function placeOf(field: string, i: number): string {
  return `${field}events[${i}]`;
}
