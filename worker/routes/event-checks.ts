/** Reads the commits of a request, and checks them against the edge's event types, if it has some, before any object wakes. */
import { type Commit, type EventDefaults, parseCommit } from "../../shared/event/commit.ts";
import { assertAccepted, completeVersions, questionsOf } from "../../shared/event/event-checks.ts";
import type { EventTypes } from "../../shared/event/event-types.ts";
import type { Limits } from "../../shared/limits.ts";

export interface CommitRules {
  readonly eventTypes: EventTypes | undefined;
  readonly limits: Limits;
  readonly defaults: EventDefaults;
}

/** @param field as of `parseCommit`, which also says what is thrown */
export function readCommit(
  { events, ...rest }: Parameters<typeof parseCommit>[0],
  { eventTypes, limits, defaults }: CommitRules,
  field?: string,
): Commit {
  const given = eventTypes === undefined ? events : completeVersions(eventTypes, events);
  return parseCommit({ ...rest, events: given }, defaults, limits, field);
}

/** @throws InvalidRequestError for an event of a type or version that the edge does not know, and for one that its schema rejects */
export async function checkEvents({ events }: Commit, { eventTypes }: Pick<CommitRules, "eventTypes">, field?: string): Promise<void> {
  if (eventTypes === undefined) return;
  const questions = questionsOf(eventTypes, events, "known", field);
  assertAccepted(await Promise.allSettled(questions.map(async (ask) => ask())), events, field);
}
