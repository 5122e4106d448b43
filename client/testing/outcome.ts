/** The outcome of a command: the events as a store would record them, or the error that `decide` threw. */

import { beginningOf, type CommandContext, type DecidedEvent, type Decider, decideCommand, fold } from "../../shared/decider/decider.ts";
import { ChangedInPlaceError, frozen } from "../../shared/decider/frozen.ts";
import { HeadwaterError } from "../../shared/errors.ts";
import { assertNewEvents, type EventDefaults, parseCommit } from "../../shared/event/commit.ts";
import type { EventBody } from "../../shared/event/event.ts";
import { copyJson, type Json, sameJson } from "../../shared/json.ts";
import { DEFAULT_LIMITS } from "../../shared/limits.ts";
import { nameOf } from "./refusal.ts";

export type Outcome = { readonly decided: readonly Json[] } | { readonly refusal: unknown };

/**
 * Decides a command on these events.
 *
 * @throws what `evolve` throws; ChangedInPlaceError if a function changes the state or an event; TypeError if the decided events can't be
 *   recorded
 */
export function outcomeOf<State, Command, Event extends DecidedEvent, Evolved>(
  decider: Decider<State, Command, Event, Evolved>,
  events: readonly Evolved[],
  command: Command,
  context: Partial<CommandContext> = {},
): Outcome {
  const state = fold(decider, beginningOf(decider), frozen(structuredClone(events)), true);
  let decided: readonly Event[];
  try {
    decided = decideCommand(decider, command, state, { actor: null, occurredAt: NO_TIME, commandId: NO_COMMAND, ...context });
  } catch (refusal) {
    if (refusal instanceof ChangedInPlaceError) throw refusal;
    return { refusal };
  }
  return { decided: recorded(decided, `${decider.name}: the decided events`) };
}

/** The command as a store stores and decides it: a copy as JSON. @throws TypeError if it can't be recorded */
export function recordedCommand<Command>(command: Command, decider: string): Command {
  return recordable(`${decider}: the command`, () => copyJson(command, "command", DEFAULT_LIMITS.jsonDepth).value) as Command;
}

export function isSameOutcome(a: Outcome, b: Outcome): boolean {
  if ("refusal" in a || "refusal" in b) return "refusal" in a && "refusal" in b && nameOf(a.refusal) === nameOf(b.refusal);
  return sameJson(a.decided, b.decided);
}

const NO_ID = "00000000-0000-0000-0000-";
const NO_TIME = "1970-01-01T00:00:00Z";
const NO_COMMAND = `${NO_ID}000000000000`;

/**
 * The events as they would be recorded, without the fields that have their default values.
 *
 * @param what the subject of the error's sentence if they can't be recorded
 * @throws TypeError if they can't be recorded
 */
export function recorded(events: readonly DecidedEvent[], what: string): Json[] {
  if (events.length === 0) return [];
  let made = 0;
  const defaults: EventDefaults = { newId: () => NO_ID + String(made++).padStart(12, "0"), occurredAt: NO_TIME };
  return recordable(what, () =>
    parseCommit({ streamId: "Given", expectedVersion: "any", events: assertNewEvents(events) }, defaults, DEFAULT_LIMITS).events.map(
      withoutDefaults,
    ),
  );
}

function recordable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    throw new TypeError(`${what} can't be recorded: ${error.message}`, { cause: error });
  }
}

function withoutDefaults({ id, type, data, metadata, schemaVersion, occurredAt }: EventBody): Json {
  return JSON.parse(
    JSON.stringify({
      type,
      data,
      metadata: Object.keys(metadata).length > 0 ? metadata : undefined,
      schemaVersion: schemaVersion === 1 ? undefined : schemaVersion,
      id: id.startsWith(NO_ID) ? undefined : id,
      occurredAt: occurredAt === NO_TIME ? undefined : occurredAt,
    }),
  );
}
