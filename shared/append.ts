/**
 * The append decision: may this commit be appended to this stream? It is the only one: the device takes it over
 * IndexedDB, the edge over SQLite, each in one transaction with the write that follows from it.
 *
 *     commit ──► ids recorded? ── none ──► expectation holds? ── yes ──► append at version + 1 …
 *                     │                            └──────────── no ───► version-conflict
 *                     ├── all, side by side, in order, same content ───► duplicate: the original versions
 *                     └── anything else ───────────────────────────────► event-id-reused
 *
 * Invariants it upholds (numbers of the design's section 9):
 *  2. an appended commit takes the versions that follow the stream's, so they are 1 … n without gap or repeat;
 *  3. an event id stands at most once in a stream, since a commit with a recorded id is never appended;
 *  8. nothing recorded is touched: the only writes that follow are insertions.
 *
 * What it does not do: check the commit's form (`commit.ts`) or look into other streams; the same id may stand in two.
 */
import { assert } from "./assert.ts";
import { errorOf, type HeadwaterError } from "./errors.ts";
import type { Commit } from "./event/commit.ts";
import type { EventBody } from "./event/event.ts";
import { conflictMessage, type ExpectedVersion, expectationHolds } from "./expected-version.ts";
import { sameJson } from "./json.ts";
import { toVersion, type Version } from "./order.ts";

/** What the storage knows of the stream, read in the transaction that will write. */
export interface StreamFacts {
  readonly version: Version;
  /** Those of the commit's events whose ids the stream records, by id. */
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

/** A retry may carry another `occurredAt`, where the writer leaves it to be filled in; everything else must agree. */
export function sameContent(a: Omit<EventBody, "occurredAt">, b: Omit<EventBody, "occurredAt">): boolean {
  // In metadata `undefined` stands in the type for absent keys alone; `commit.ts` copies none.
  return a.type === b.type && a.schemaVersion === b.schemaVersion && sameJson(a.data, b.data) && sameJson(a.metadata, b.metadata);
}

/** What the writer of a refused commit is told. */
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

/** The same as an error. */
export function refusalError(refusal: Refusal): HeadwaterError {
  return errorOf(refusal.code, refusalMessage(refusal), refusal);
}

/** What a writer is told whose event id is taken. */
export function reusedMessage(eventId: string): string {
  return `The event id ${eventId} stands in the stream for another event.`;
}
