/**
 * Handles a command on a stream: decides, and appends the events that were decided. If another tab was faster, the command is decided again
 * on the stream with that tab's events. If another device was faster, it is decided again when that device's events arrive
 * (`shared/device/decide-again.ts`).
 */

import type { PendingCommand } from "../../shared/decider/command.ts";
import { type DecidedEvent, type Decider, decideCommand, fold } from "../../shared/decider/decider.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import { copyJson } from "../../shared/json.ts";
import * as option from "../../shared/options.ts";
import type { StoreInternals } from "../internals.ts";
import { IS_DEVELOPMENT } from "../tools/development.ts";
import { takesOver } from "../tools/hot-reload.ts";
import { newId } from "../tools/new-id.ts";
import type { Turns } from "../tools/turns.ts";
import type { Aggregates } from "./aggregates.ts";

export interface HandleOptions {
  /** The event that led to the command: the events that are decided continue its correlation. */
  readonly causedBy?: Pick<RecordedEvent, "id" | "metadata">;
  /** How often the command is decided again if another tab, or an append without a command, was faster. Default: 10. */
  readonly retries?: number;
}

export const HANDLE_OPTIONS = {
  causedBy: option.cause,
  retries: option.withPreset(option.ordinal, 10),
} satisfies option.OptionsOf<HandleOptions>;

export interface HandleResult<State, Event> {
  readonly streamId: string;
  /** The events that were decided. Empty if the command changes nothing. */
  readonly events: readonly Event[];
  /** The stream's state with these events. */
  readonly state: State;
  /** The stream's version with these events. */
  readonly version: number;
  /** Recorded on this device only. If others' events come first, the command is decided again. */
  readonly pending: boolean;
}

/** @param turns of this tab: its own commands on a stream run one after the other and do not conflict */
export async function handleCommand<State, Command, Event extends DecidedEvent>(
  internals: StoreInternals,
  aggregates: Aggregates,
  turns: Turns,
  streamId: string,
  decider: Decider<State, Command, Event, never>,
  command: Command,
  options: HandleOptions,
): Promise<HandleResult<State, Event>> {
  const { causedBy, retries } = option.completeOptions(options, HANDLE_OPTIONS);
  const { append, database, deciders, fetched, limits } = internals;
  const known = deciders.get(decider.name);
  if (known !== undefined && known !== decider && !takesOver(IS_DEVELOPMENT, known, decider, `decider ${decider.name}`)) {
    throw new InvalidRequestError(`Two different deciders are named ${decider.name}. Create each once, in a module, and rename one.`, {
      field: "decider.name",
    });
  }
  deciders.set(decider.name, decider);
  // It is decided on the copy that is stored, so that the command is the same when it is decided again.
  const data = copyJson(command, "command", limits.jsonDepth).value;
  const kept: PendingCommand = { id: newId(), decider: decider.name, version: decider.version, data };
  const occurredAt = new Date().toISOString();
  // It gets all events of the stream, and returns the state unchanged for events that it does not know.
  const folding = decider as Decider<State, Command, Event, unknown>;
  await fetched(streamId);
  return turns.take(streamId, async () => {
    for (let attempt = 0; ; attempt++) {
      const { state, version, pending } = await aggregates.read(streamId, folding, {});
      const context = { actor: database.owner.person, occurredAt, commandId: kept.id };
      const events = decideCommand(decider, data as Command, state, context);
      if (events.length === 0) return { streamId, events, state, version, pending: pending > 0 };
      // Before the events are recorded: if `evolve` throws on them, the command is refused.
      const decided = fold(folding, state, events, IS_DEVELOPMENT);
      try {
        const expected = { expectedVersion: version, ...(causedBy && { causedBy }) };
        const at = events.map((event) => ({ ...event, occurredAt }));
        const result = await append(streamId, at, expected, kept);
        return { streamId, events, state: decided, version: result.version, pending: result.pending };
      } catch (error) {
        if (attempt >= retries || !isConflict(error)) throw error;
      }
    }
  });
}

function isConflict(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "version-conflict";
}
