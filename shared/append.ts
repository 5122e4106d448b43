/**
 * The append decision: may this commit be appended to this stream? No other code decides this. The device calls it for
 * IndexedDB and the edge for SQLite, each in one transaction with the write that follows.
 *
 *     commit ──► ids recorded? ── none ──► expectation holds? ── yes ──► append at version + 1 …
 *                     │                            └──────────── no ───► version-conflict
 *                     ├── all, consecutive, in order, same content ────► duplicate: the original versions
 *                     └── anything else ───────────────────────────────► event-id-reused
 *
 * Invariants (numbers of docs/architecture.md):
 *  2. an appended commit takes the versions that follow the stream's, so a stream's versions are 1 … n without gap or repeat;
 *  3. an event id is stored at most once in a stream, because a commit with a recorded id is never appended;
 *  8. recorded events do not change: the only writes that follow are insertions.
 *
 * What it does not do: check the commit's form (`commit.ts`) or read other streams. The same event id may be in two streams.
 */
import { assert } from "./assert.ts";
import { sameMetadata } from "./decider/command.ts";
import { errorOf, type HeadwaterError } from "./errors.ts";
import type { Commit } from "./event/commit.ts";
import type { EventBody } from "./event/event.ts";
import { conflictMessage, type ExpectedVersion, expectationHolds } from "./expected-version.ts";
import { sameJson } from "./json.ts";
import { toVersion, type Version } from "./order.ts";

/** What is stored of the stream, read in the transaction that will write. */
export interface StreamFacts {
  readonly version: Version;
  /** The recorded events of the stream that have an id of one of the commit's events, by id. */
  readonly recorded: ReadonlyMap<string, RecordedBody>;
}

export type RecordedBody = EventBody & { readonly version: Version };

export type AppendDecision =
  | { readonly kind: "append"; readonly firstVersion: Version; readonly version: Version }
  | { readonly kind: "duplicate"; readonly firstVersion: Version; readonly version: Version }
  | Refusal;

export type Refusal =
  | {
      readonly kind: "refused";
      readonly code: "version-conflict";
      readonly expectedVersion: ExpectedVersion;
      readonly actualVersion: Version;
    }
  | { readonly kind: "refused"; readonly code: "event-id-reused"; readonly eventId: string };

/** Decides about a commit. It is total: a commit that can't be appended gets an answer and no error. */
export function decideAppend(facts: StreamFacts, commit: Commit): AppendDecision {
  const { events, expectedVersion } = commit;
  assert(events.length > 0, "a commit has at least one event");
  const reused = events.find((event) => facts.recorded.has(event.id));
  if (reused !== undefined) return decideRepeated(facts, events, reused);
  if (!expectationHolds(expectedVersion, facts.version)) {
    return { kind: "refused", code: "version-conflict", expectedVersion, actualVersion: facts.version };
  }
  return {
    kind: "append",
    firstVersion: toVersion(facts.version + 1),
    version: toVersion(facts.version + events.length),
  };
}

function decideRepeated(facts: StreamFacts, events: readonly EventBody[], reused: EventBody): AppendDecision {
  const first = facts.recorded.get(events[0]?.id ?? "")?.version;
  if (first === undefined) return { kind: "refused", code: "event-id-reused", eventId: reused.id };
  for (const [i, event] of events.entries()) {
    const recorded = facts.recorded.get(event.id);
    if (recorded === undefined || recorded.version !== first + i || !sameContent(recorded, event)) {
      return { kind: "refused", code: "event-id-reused", eventId: recorded === undefined ? reused.id : event.id };
    }
  }
  return { kind: "duplicate", firstVersion: first, version: toVersion(first + events.length - 1) };
}

/**
 * Whether two events are equal, except for `occurredAt`: if the writer leaves it out, it is filled in again for each try, so a
 * retry may carry another one. The command that they were decided for does not count either.
 */
export function sameContent(a: Omit<EventBody, "occurredAt">, b: Omit<EventBody, "occurredAt">): boolean {
  // The type of metadata allows `undefined` for absent keys only, and `commit.ts` copies no `undefined`.
  return a.type === b.type && a.schemaVersion === b.schemaVersion && sameJson(a.data, b.data) && sameMetadata(a.metadata, b.metadata);
}

/** The message for the writer of a commit that is not appended. */
export function refusalMessage(refusal: Refusal): string {
  switch (refusal.code) {
    case "version-conflict":
      return conflictMessage(refusal.expectedVersion, refusal.actualVersion);
    case "event-id-reused":
      return reusedMessage(refusal.eventId);
    default:
      return refusal satisfies never;
  }
}

/** The error for the writer of a commit that is not appended, with the message of `refusalMessage`. */
export function refusalError(refusal: Refusal): HeadwaterError {
  return errorOf(refusal.code, refusalMessage(refusal), refusal);
}

/** The message for a writer whose event id is taken by another event of the stream. */
export function reusedMessage(eventId: string): string {
  return `Another event of the stream already has the id ${eventId}. Give each event its own id.`;
}
