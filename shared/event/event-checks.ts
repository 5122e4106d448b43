/**
 * The checks of events before they are appended, if the app registered event types.
 *
 *     handed over ──► completeVersions ──► parseCommit ──► questionsOf ──► the caller runs them, and waits ──► assertAccepted
 *
 * A schema accepts data or rejects it, and changes nothing. It validates a copy, and its result is discarded except for the issues. The
 * appended data must be the data that was handed over: it is compared when the event is sent again, and other devices receive it.
 */
import { assert } from "../assert.ts";
import { InvalidRequestError } from "../errors.ts";
import { copyJson } from "../json.ts";
import type { EventBody } from "./event.ts";
import type { EventTypes } from "./event-types.ts";
import { refusalOf, type Settled } from "./standard-schema.ts";

/** Which schema versions are accepted: an app appends its current one only; the edge also receives events from older apps. */
export type Taken = "current" | "known";

/** The events as handed over, with the schema versions that they left out. What is not an event stays: `parseCommit` rejects it. */
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
 * For each event a function that runs its schema. It returns the schema's result, or a promise of it. Data of an older version has
 * no schema any more, and is accepted as it is.
 *
 * @param field how errors name the commit, e.g. `commits[3].`; empty if it is the whole request
 * @throws InvalidRequestError if a type is not registered, or its version is not accepted
 */
export function questionsOf(types: EventTypes, events: readonly EventBody[], taken: Taken, field = ""): readonly (() => unknown)[] {
  return events.map((event, i) => questionOf(types, event, taken, placeOf(field, i)));
}

function questionOf(types: EventTypes, { type, schemaVersion, data }: EventBody, taken: Taken, place: string): () => unknown {
  const known = types.get(type);
  if (known === undefined) {
    const sentence = `${type} is not a registered event type: register it, or correct its name.`;
    throw new InvalidRequestError(sentence, { field: `${place}.type` });
  }
  const { version, schema } = known;
  if (schemaVersion > version || (schemaVersion < version && taken === "current")) {
    const remedy = taken === "current" ? `append it as version ${version}, or leave out schemaVersion` : "deploy the edge before the app";
    const sentence = `${type} is registered with version ${version}, but this event has version ${schemaVersion}: ${remedy}.`;
    throw new InvalidRequestError(sentence, { field: `${place}.schemaVersion` });
  }
  if (schema === undefined || schemaVersion < version) return () => NO_ISSUES;
  return () => schema["~standard"].validate(copyJson(data, place, Number.POSITIVE_INFINITY).value);
}

/** @throws InvalidRequestError for the first event that its schema rejects */
export function assertAccepted(answers: readonly Settled[], events: readonly EventBody[], field = ""): void {
  for (const [i, { type }] of events.entries()) {
    const answer = answers[i];
    assert(answer !== undefined, "every question has an answer");
    const refusal = refusalOf(answer);
    if (refusal === undefined) continue;
    const place = `${placeOf(field, i)}.data${refusal.path}`;
    throw new InvalidRequestError(`${place} does not match the schema of ${type}: ${refusal.message}`, { field: place });
  }
}

/**
 * The same within a transaction, which can't wait for schemas that return a promise: those accept what is decided.
 *
 * @throws InvalidRequestError
 */
export function assertAcceptedNow(types: EventTypes, events: readonly EventBody[], field: string): void {
  const answers = questionsOf(types, events, "current", field).map((ask): Settled => {
    const result = ask();
    return { status: "fulfilled", value: result instanceof Promise ? NO_ISSUES : result };
  });
  assertAccepted(answers, events, field);
}

const NO_ISSUES = {};

function placeOf(field: string, i: number): string {
  return `${field}events[${i}]`;
}
