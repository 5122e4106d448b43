/** Reads the commits of a request, and checks them against the edge's event types, if it has some, before any object wakes. */
import type { PendingCommand } from "../../shared/decider/command.ts";
import { isDecidedId } from "../../shared/edge/decided-id.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { type Commit, type EventDefaults, parseCommand, parseCommit } from "../../shared/event/commit.ts";
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
  {
    events,
    command,
    ...rest
  }: Pick<Parameters<typeof parseCommit>[0], "streamId" | "expectedVersion" | "events"> & {
    readonly command?: Parameters<typeof parseCommand>[0] | undefined;
  },
  { eventTypes, limits, defaults }: CommitRules,
  field?: string,
): Commit {
  const given = eventTypes === undefined ? events : completeVersions(eventTypes, events);
  const named = command && parseGivenCommand(command, limits, `${field}command.`);
  return parseCommit({ ...rest, events: given, command: named }, defaults, limits, field);
}

/** @throws InvalidRequestError for an event of a type or version that the edge does not know, and for one that its schema rejects */
export async function checkEvents({ events }: Commit, { eventTypes }: Pick<CommitRules, "eventTypes">, field?: string): Promise<void> {
  if (eventTypes === undefined) return;
  const questions = questionsOf(eventTypes, events, "known", field);
  assertAccepted(await Promise.allSettled(questions.map(async (ask) => ask())), events, field);
}

/**
 * A command of a caller. Ids of UUID version 8 are the edge's own: a caller could claim the one of a command that a handler will give.
 *
 * @throws as `parseCommand` does
 */
export function parseGivenCommand(...given: Parameters<typeof parseCommand>): PendingCommand {
  const command = parseCommand(...given);
  if (!isDecidedId(command.id)) return command;
  const field = `${given[2]}id`;
  throw new InvalidRequestError(`${field} must be a UUID of another version than 8, e.g. what crypto.randomUUID() returns.`, { field });
}
