/**
 * A command on a stream: the decision, and the append of what was decided. Where another tab was faster, it is decided again on what that
 * one left; where another device was, the same happens when its events arrive (`shared/device/decider.ts`).
 */

import { type DecidedEvent, type Decider, decideCommand, fold } from "../../shared/device/decider.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import { copyJson } from "../../shared/json.ts";
import type { StoreInternals } from "../internals.ts";
import type { Turns } from "../tools/turns.ts";
import type { Aggregates } from "./aggregates.ts";

export interface HandleOptions {
  /** The event that led to the command: what is decided continues its correlation. */
  readonly causedBy?: Pick<RecordedEvent, "id" | "metadata">;
  /** How often it is decided again where another tab, or an append without a command, was faster. Default: 10. */
  readonly retries?: number;
}

export interface HandleResult<State, Event> {
  readonly streamId: string;
  /** What was decided; nothing where the command changes nothing. */
  readonly events: readonly Event[];
  /** The stream's state with them. */
  readonly state: State;
  readonly version: number;
  /** Recorded on this device only: where others' events come first, the command is decided again. */
  readonly pending: boolean;
}

/** @param turns of the tab: its own commands on a stream don't get in each other's way */
export async function handleCommand<State, Command, Event extends DecidedEvent>(
  internals: StoreInternals,
  aggregates: Aggregates,
  turns: Turns,
  streamId: string,
  decider: Decider<State, Command, Event, never>,
  command: Command,
  { causedBy, retries = 10 }: HandleOptions,
): Promise<HandleResult<State, Event>> {
  const { append, deciders, fetched, limits } = internals;
  const known = deciders.get(decider.name);
  if (known !== undefined && known !== decider) {
    throw new InvalidRequestError(`Two deciders are named ${decider.name}; reload the page where one was changed.`, {
      field: "decider.name",
    });
  }
  deciders.set(decider.name, decider);
  // Decided on what will be kept, so that it is the same command whenever it is decided.
  const kept = copyJson(command, "command", limits.jsonDepth).value;
  const folding = decider as Decider<State, Command, Event, unknown>; // it is given what a stream holds, and answers its state for what it does not know
  await fetched(streamId);
  return turns.take(streamId, async () => {
    for (let attempt = 0; ; attempt++) {
      const { state, version, pending } = await aggregates.read(streamId, folding, {});
      const events = decideCommand(decider, kept as Command, state);
      if (events.length === 0) return { streamId, events, state, version, pending: pending > 0 };
      // Before it is recorded: what `evolve` throws then refuses the command.
      const decided = fold(folding, state, events);
      try {
        const options = { expectedVersion: version, ...(causedBy && { causedBy }) };
        const result = await append(streamId, events, options, { decider: decider.name, command: kept });
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
