/**
 * Deciders: what an app may do to a stream, as two pure functions.
 *
 *     events ──► evolve ──► state ──► decide(command) ──► new events, or a refusal
 *                             ▲                               │
 *                             └───────────── evolve ◄─────────┘
 *
 * A command is kept with the pending commit that came from it, so that where others' events came first it is decided again on what
 * is true then, instead of being moved blindly or given up.
 *
 * The form is Jérémie Chassaing's: https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider.
 */

import { withCauseOf } from "../event/causation.ts";
import type { EventBody, EventMetadata } from "../event/event.ts";
import type { Json } from "../json.ts";
import { messageOf } from "../thrown.ts";
import { parkUndecided, type Resolution } from "./resolution.ts";

/** What a decider makes of a command. */
export interface DecidedEvent {
  readonly type: string;
  readonly data: unknown;
  readonly metadata?: EventMetadata | undefined;
  readonly schemaVersion?: number;
}

/**
 * `evolve` and `decide` are pure: no clock, no randomness, no promise; what a decision needs besides the state stands in the command.
 * They are methods by their notation alone, so that a decider may name the events that it knows: others reach `evolve` too, and it
 * answers the state unchanged for them.
 */
export interface Decider<State, Command, Event extends DecidedEvent = DecidedEvent, Evolved = Event> {
  /** Under which snapshots and pending commands are kept: of `[A-Za-z0-9._-]`, unique in the app. */
  readonly name: string;
  /** A whole number from 1, raised when `evolve` or the state changes: snapshots of other versions are not used. */
  readonly version: number;
  readonly initialState: State;
  evolve(state: State, event: Evolved): State;
  /** Nothing, or no event: the command changes nothing. @throws for a command that is refused; what is thrown is shown to people */
  // biome-ignore lint/suspicious/noConfusingVoidType: a decider that decides nothing just returns
  decide(command: Command, state: State): Event | readonly Event[] | undefined | void;
}

/** Any decider, where nothing is done with its types. */
// biome-ignore lint/suspicious/noExplicitAny: the types of a decider stand on both sides of its functions
export type AnyDecider = Decider<any, any, any, any>;

/** A decider as far as it folds a state of events. */
export interface Folding<State> extends Pick<AnyDecider, "name" | "version"> {
  readonly initialState: State;
  evolve(state: State, event: never): State;
}

/** What is kept of the command with the pending commit that came from it. */
export interface PendingCommand {
  /** The decider's name. */
  readonly decider: string;
  /** As it was handed over, as JSON. */
  readonly command: Json;
}

export function fold<State, Event>(
  decider: Pick<Decider<State, never, DecidedEvent, Event>, "evolve">,
  state: State,
  events: Iterable<Event>,
): State {
  let folded = state;
  for (const event of events) folded = decider.evolve(folded, event);
  return folded;
}

/** What `decide` answers, always as a list. @throws what it throws */
export function decideCommand<State, Command, Event extends DecidedEvent>(
  decider: Pick<Decider<State, Command, Event, never>, "decide">,
  command: Command,
  state: State,
): readonly Event[] {
  const decided = decider.decide(command, state);
  return decided === undefined ? [] : Array.isArray(decided) ? decided : [decided as Event];
}

/** What a pending command is decided again on. */
export interface Again {
  readonly command?: PendingCommand | undefined;
  /** What it was decided to before. */
  readonly events: readonly EventBody[];
  /** Confirmed, in version order: all of the stream. */
  readonly recorded: readonly EventBody[];
  /** Pending, behind those. */
  readonly ahead: readonly EventBody[];
}

/**
 * A command whose stream has moved under it, decided on the stream as it is.
 *
 * @param read gives an event as the decider knows it. @throws where it can't
 * @param complete makes events of what was decided. @throws for what can't be recorded
 */
export function decideAgain(
  deciders: ReadonlyMap<string, AnyDecider>,
  { command, events: [before], recorded, ahead }: Again,
  read: (event: EventBody) => unknown,
  complete: (events: readonly DecidedEvent[]) => readonly EventBody[],
): Resolution {
  const decider = deciders.get(command?.decider ?? "");
  if (decider === undefined) return parkUndecided({ command });
  try {
    const state = fold(decider, decider.initialState, [...recorded, ...ahead].map(read));
    const events = decideCommand(decider, command?.command, state);
    return events.length > 0
      ? { kind: "rebase", events: complete(withCauseOf(events, before?.metadata)) }
      : { kind: "park", why: "Decided again, it changes nothing." };
  } catch (error) {
    return { kind: "park", why: `Decided again, it was refused: ${messageOf(error)}` };
  }
}
