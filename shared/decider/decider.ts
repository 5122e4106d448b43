/**
 * Deciders: the rules of an app for a stream, as two pure functions.
 *
 *     events ──► evolve ──► state ──► decide(command) ──► new events, or a refusal
 *                             ▲                               │
 *                             └───────────── evolve ◄─────────┘
 *
 * A device decides at once, also offline, on what it has. Its command is kept with the pending commit (`command.ts`): if others' events come
 * first, the command is decided again on the stream as it is then. An edge that has the decider decides every command on the truth.
 *
 * The form is by Jérémie Chassaing: https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider.
 */

import type { EventMetadata } from "../event/event.ts";
import { frozen, inPlaceErrorOf } from "./frozen.ts";
import { initialStateOf } from "./initial-state.ts";

/** An event that a decider returns for a command. */
export interface DecidedEvent {
  readonly type: string;
  readonly data: unknown;
  readonly metadata?: EventMetadata | undefined;
  readonly schemaVersion?: number;
}

/** What a decision may use besides the command and the state. It is the same on the device and at the edge, and each time it is decided. */
export interface CommandContext {
  /** Who gave the command: on a device its store's person, at the edge whom it authenticated. Null if nobody is known. */
  readonly actor: string | null;
  /** When the command was given, by the clock of the device that gave it: ISO 8601 UTC. */
  readonly occurredAt: string;
  /** A UUID. What a decision needs of randomness can be made from it. */
  readonly commandId: string;
}

/**
 * `evolve` and `decide` are pure: they use no clock, no randomness and no promise, and change nothing in place. The command contains what a decision needs besides the
 * state. They are written as methods only so that their parameters may have the types of the events that the decider knows. `evolve` also
 * gets other events, and returns the state unchanged for them.
 */
export interface Decider<State, Command, Event extends DecidedEvent = DecidedEvent, Evolved = Event> {
  /** The name under which snapshots and pending commands are stored: characters of `[A-Za-z0-9._-]`, unique in the app. */
  readonly name: string;
  /**
   * A whole number from 1. Raise it when `evolve`, the state, `decide` or the form of commands changes: snapshots of other versions are not
   * used, and code of another version does not decide this version's commands.
   */
  readonly version: number;
  /** The state of a stream that does not exist, or a function that returns it. It is frozen when it is first used. */
  readonly initialState: State | (() => State);
  /** Returns the state after the event: a new one if the event changes it. In development, every state is frozen. */
  evolve(state: State, event: Evolved): State;
  /**
   * The events for a command. Returning nothing, or an empty list, means that the command changes nothing.
   *
   * @throws if the command is refused. The message is shown to people. The error's own `data`, if it is JSON, goes along with it
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a decider that decides nothing just returns
  decide(command: Command, state: State, context: CommandContext): Event | readonly Event[] | undefined | void;
}

/** Any decider, for code that does not use its types. */
// biome-ignore lint/suspicious/noExplicitAny: a decider's types are both parameters and results of its functions
export type AnyDecider = Decider<any, any, any, any>;

/** The part of a decider that folds events into a state. */
export interface Folding<State> extends Pick<AnyDecider, "name" | "version"> {
  readonly initialState: State | (() => State);
  evolve(state: State, event: never): State;
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
  context: CommandContext,
): readonly Event[] {
  let decided: ReturnType<typeof decider.decide>;
  try {
    decided = decider.decide(command, state, context);
  } catch (error) {
    const again = ([one, other]: readonly [Command, State]) => decider.decide(one, other, context);
    throw inPlaceErrorOf(error, `decide of the decider ${decider.name}`, [command, state], again);
  }
  return decided === undefined ? [] : Array.isArray(decided) ? decided : [decided as Event];
}
