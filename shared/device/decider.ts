/**
 * Deciders: the rules of an app for a stream, as two pure functions.
 *
 *     events ──► evolve ──► state ──► decide(command) ──► new events, or a refusal
 *                             ▲                               │
 *                             └───────────── evolve ◄─────────┘
 *
 * A command is stored with the pending commit that was decided for it. If others' events come first, the command is decided again on
 * the stream as it is then. So it is neither moved without a check nor given up.
 *
 * The form is by Jérémie Chassaing: https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider.
 */

import { withCauseOf } from "../event/causation.ts";
import type { EventBody, EventMetadata } from "../event/event.ts";
import type { Json } from "../json.ts";
import { messageOf } from "../thrown.ts";
import { frozen, inPlaceErrorOf } from "./frozen.ts";
import { initialStateOf } from "./initial-state.ts";
import { parkUndecided, type Resolution } from "./resolution.ts";

/** An event that a decider returns for a command. */
export interface DecidedEvent {
  readonly type: string;
  readonly data: unknown;
  readonly metadata?: EventMetadata | undefined;
  readonly schemaVersion?: number;
}

/**
 * `evolve` and `decide` are pure: they use no clock, no randomness and no promise, and change nothing in place. The command contains what a decision needs besides the
 * state. They are written as methods only so that their parameters may have the types of the events that the decider knows. `evolve` also
 * gets other events, and returns the state unchanged for them.
 */
export interface Decider<State, Command, Event extends DecidedEvent = DecidedEvent, Evolved = Event> {
  /** The name under which snapshots and pending commands are stored: characters of `[A-Za-z0-9._-]`, unique in the app. */
  readonly name: string;
  /** A whole number from 1. Raise it when `evolve` or the state changes: snapshots of other versions are not used. */
  readonly version: number;
  /** The state of a stream that does not exist, or a function that returns it. It is frozen when it is first used. */
  readonly initialState: State | (() => State);
  /** Returns the state after the event: a new one if the event changes it. In development, every state is frozen. */
  evolve(state: State, event: Evolved): State;
  /**
   * The events for a command. Returning nothing, or an empty list, means that the command changes nothing.
   *
   * @throws if the command is refused. The message is shown to people
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a decider that decides nothing just returns
  decide(command: Command, state: State): Event | readonly Event[] | undefined | void;
}

/** Any decider, for code that does not use its types. */
// biome-ignore lint/suspicious/noExplicitAny: a decider's types are both parameters and results of its functions
export type AnyDecider = Decider<any, any, any, any>;

/** The part of a decider that folds events into a state. */
export interface Folding<State> extends Pick<AnyDecider, "name" | "version"> {
  readonly initialState: State | (() => State);
  evolve(state: State, event: never): State;
}

/** A command as it is stored with the pending commit that was decided for it. */
export interface PendingCommand {
  /** The decider's name. */
  readonly decider: string;
  /** The command as it was handed over, as JSON. */
  readonly command: Json;
}

/** The state that a fold from the first event begins with. It is frozen, because all streams begin with it. */
export function beginningOf<State>(decider: Pick<Folding<State>, "initialState">): State {
  return frozen(initialStateOf(decider));
}

/**
 * Folds events into a state, in the given order.
 *
 * @param freezes whether every state is frozen, from `state` to the result. If not, only a state that is frozen already is safe from changes
 * @throws what `evolve` throws; ChangedInPlaceError if it changes a frozen state
 */
export function fold<State, Event>(
  decider: Pick<Decider<State, never, DecidedEvent, Event>, "name" | "evolve">,
  state: State,
  events: Iterable<Event>,
  freezes: boolean,
): State {
  let folded = freezes ? frozen(state) : state;
  for (const event of events) {
    try {
      folded = decider.evolve(folded, event);
    } catch (error) {
      throw inPlaceErrorOf(error, `evolve of the decider ${decider.name}`, [folded, event], (args) => decider.evolve(...args));
    }
    if (freezes) frozen(folded);
  }
  return folded;
}

/** The result of `decide`, always as a list. @throws what `decide` throws; ChangedInPlaceError if it changes a frozen state */
export function decideCommand<State, Command, Event extends DecidedEvent>(
  decider: Pick<Decider<State, Command, Event, never>, "name" | "decide">,
  command: Command,
  state: State,
): readonly Event[] {
  let decided: ReturnType<typeof decider.decide>;
  try {
    decided = decider.decide(command, state);
  } catch (error) {
    throw inPlaceErrorOf(error, `decide of the decider ${decider.name}`, [command, state], (args) => decider.decide(...args));
  }
  return decided === undefined ? [] : Array.isArray(decided) ? decided : [decided as Event];
}

/** A pending command, and the stream on which it is decided again. */
export interface Again {
  readonly command?: PendingCommand | undefined;
  /** The events that were decided for it before. */
  readonly events: readonly EventBody[];
  /** All confirmed events of the stream, in version order. */
  readonly recorded: readonly EventBody[];
  /** The pending events after those and before the command's own. */
  readonly ahead: readonly EventBody[];
  /** As of `fold`. */
  readonly freezes: boolean;
}

/**
 * Decides a command again on its stream as it is now. It parks the commit if the decider is unknown, refuses the command or decides
 * no event, and if `read` or `complete` throws.
 *
 * @param read returns an event as the decider knows it. @throws if it can't
 * @param complete makes complete events of the decided ones. @throws if they can't be recorded
 */
export function decideAgain(
  deciders: ReadonlyMap<string, AnyDecider>,
  { command, events: [before], recorded, ahead, freezes }: Again,
  read: (event: EventBody) => unknown,
  complete: (events: readonly DecidedEvent[]) => readonly EventBody[],
): Resolution {
  const decider = deciders.get(command?.decider ?? "");
  if (decider === undefined) return parkUndecided({ command });
  try {
    const state = fold(decider, beginningOf(decider), [...recorded, ...ahead].map(read), freezes);
    const events = decideCommand(decider, command?.command, state);
    return events.length > 0
      ? { kind: "rebase", events: complete(withCauseOf(events, before?.metadata)) }
      : { kind: "park", why: "The command was decided again and changes nothing." };
  } catch (error) {
    return { kind: "park", why: `The command was decided again and refused: ${messageOf(error)}` };
  }
}
