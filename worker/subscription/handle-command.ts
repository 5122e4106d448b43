/**
 * Commands that a handler gives: `context.handle`. Each has an id made from the event that led to it, so that it is decided once, however often
 * the event is handled.
 */

import type { DecidedEvent, Decider } from "../../shared/decider/decider.ts";
import { decidedEventId } from "../../shared/edge/decided-id.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { causedBy } from "../../shared/event/causation.ts";
import { parseCommand } from "../../shared/event/commit.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import * as option from "../../shared/options.ts";
import { categoryOf, parseStreamId } from "../../shared/stream-id.ts";
import type { EdgeEnv } from "../env.ts";
import { appendOne, assertNotRefused, undecidedCommit } from "../objects/append-one.ts";
import type { StreamRules } from "../stream/stream-decider.ts";

export interface HandledCommand {
  readonly streamId: string;
  /** The events that were decided, now or when the command was given before. None: it changes nothing. */
  readonly events: readonly DecidedEvent[];
  /** The stream's version with them. */
  readonly version: number;
  /** The command was decided before. */
  readonly duplicate: boolean;
}

export interface CommandOptions {
  /** The event that led to the command. Default: the event of the call, if it has one alone. */
  readonly causedBy?: ConfirmedEvent;
  /**
   * Tells commands apart that one event leads to, for one stream and one decider. Default: how many of them the handler has given before, in
   * this call. A handler that does not give the same commands each time has to name them.
   */
  readonly key?: string;
}

const OPTIONS = {
  causedBy: option.cause,
  key: { what: "a text", accepts: (value) => typeof value === "string" },
} satisfies option.OptionsOf<CommandOptions>;

/**
 * Gives a command to the decider of the stream's category, which this edge must have.
 *
 * @throws CommandRefusedError if the decider refuses it
 * @throws DeciderVersionError if the edge has another version of the decider
 * @throws InvalidRequestError if the edge has no decider for the category, or it is not certain which event led to the command
 * @throws UnavailableError if the stream can't be reached; the command may be given again
 */
export type HandleCommand = <State, Command, Event extends DecidedEvent>(
  streamId: string,
  decider: Decider<State, Command, Event, never>,
  command: NoInfer<Command>,
  options?: CommandOptions,
) => Promise<HandledCommand>;

/** @param events of the call */
export function handlerCommands(
  env: EdgeEnv,
  { store, subscription }: { readonly store: string; readonly subscription: string },
  events: readonly ConfirmedEvent[],
  { deciders, limits }: Pick<StreamRules, "deciders" | "limits">,
): HandleCommand {
  const given = new Map<string, number>();
  return async (streamId, decider, command, options = {}) => {
    const { causedBy: cause = sole(events), key } = option.completeOptions(options, OPTIONS);
    const id = parseStreamId(streamId);
    if (!deciders.has(categoryOf(id))) {
      throw new InvalidRequestError(`The edge has no decider for the stream ${id}: give it one in createEdge({ deciders }).`, {
        field: "streamId",
      });
    }
    // An event's id is unique in its stream alone.
    const place = JSON.stringify([cause.streamId, cause.id, subscription, id, decider.name]);
    const before = given.get(place) ?? 0;
    given.set(place, before + 1);
    const made = {
      id: decidedEventId(JSON.stringify([place, key ?? null]), key === undefined ? before : 0),
      decider: decider.name,
      version: decider.version,
      data: command,
    };
    const commit = undecidedCommit(id, parseCommand(made, limits, "command."), limits);
    const result = await appendOne(env, store, { ...commit, cause: causedBy(cause) }, null, true);
    const { version, status, decided = [] } = assertNotRefused(result, id);
    return { streamId: id, events: decided, version, duplicate: status === "duplicate" };
  };
}

function sole(events: readonly ConfirmedEvent[]): ConfirmedEvent {
  const [event] = events;
  if (event !== undefined && events.length === 1) return event;
  throw new InvalidRequestError("The call has several events: say which of them led to the command, in causedBy.", { field: "causedBy" });
}
