/**
 * Tests a decider: given these events, when this command comes, then these events, nothing, or a refusal follow.
 *
 *     given(decider, ...events).when(command).then(...events) · thenNothing() · thenRefused(how)
 *
 * An expectation that fails throws an Error whose message has the whole story, so that any test runner shows it. Decided events must be what
 * a store can record. States and events are frozen, so that a decider that changes them in place throws ChangedInPlaceError. Each command is
 * decided twice. A decider that reads a clock gives another result the second time, and fails the test: a store decides commands again, and
 * must get the same result.
 *
 * The form comes from Emmett: https://event-driven-io.github.io/emmett/guides/testing.html.
 */
import type { CommandContext, DecidedEvent, Decider } from "../../shared/decider/decider.ts";
import { type Json, sameJson } from "../../shared/json.ts";
import { isSameOutcome, type Outcome, outcomeOf, recorded, recordedCommand } from "./outcome.ts";
import { expectationOf, isRefusedAs, nameOf, type Refusal } from "./refusal.ts";
import { difference, listed } from "./story.ts";

export interface Given<Command, Event> {
  /** @param context who gives the command, and when. Default: nobody, on 1 January 1970 */
  when(command: Command, context?: Partial<CommandContext>): When<Event>;
}

export interface When<Event> {
  /** Passes if exactly these events are decided, in this order. */
  then(...events: readonly Event[]): void;
  /** Passes if the command is accepted and no event is decided. */
  thenNothing(): void;
  /** Passes if the command is refused in this way. */
  thenRefused(how: Refusal): void;
}

/** @param events the events that the stream holds already, oldest first */
export function given<State, Command, Event extends DecidedEvent, Evolved>(
  decider: Decider<State, Command, Event, Evolved>,
  ...events: readonly NoInfer<Evolved>[]
): Given<Command, Event> {
  return {
    when(command, context) {
      const kept = recordedCommand(command, decider.name);
      const outcome = outcomeOf(decider, events, kept, context);
      const again = outcomeOf(decider, events, kept, context);
      const fail: Fail = (what, comparison, cause) => {
        const story = `given${listed(events)}\nwhen${listed([command])}\nthen${comparison}`;
        throw new Error(`${decider.name}: ${what}\n\n${story}`, cause === undefined ? {} : { cause });
      };
      if (!isSameOutcome(outcome, again)) {
        fail(
          "deciding the command twice gave different results. decide and evolve must be pure.",
          `${shown(outcome)}\nthen again${shown(again)}`,
        );
      }
      return new Expectations(decider.name, outcome, fail);
    },
  };
}

type Fail = (what: string, comparison: string, cause?: unknown) => never;

class Expectations<Event extends DecidedEvent> implements When<Event> {
  readonly #name: string;
  readonly #outcome: Outcome;
  readonly #fail: Fail;

  constructor(name: string, outcome: Outcome, fail: Fail) {
    this.#name = name;
    this.#outcome = outcome;
    this.#fail = fail;
  }

  // biome-ignore lint/suspicious/noThenProperty: given, when, then. If it is awaited like a promise, it throws
  then(...events: readonly Event[]): void {
    if (typeof events[0] === "function") {
      throw new TypeError("This is not a promise: do not await it. Call then(…events), thenNothing() or thenRefused(…).");
    }
    this.#expect(recorded(events, `${this.#name}: the expected events`));
  }

  thenNothing(): void {
    this.#expect([]);
  }

  thenRefused(how: Refusal): void {
    const outcome = this.#outcome;
    if ("decided" in outcome) this.#fail("expected a refusal, but the command was accepted.", shown(outcome));
    else if (!isRefusedAs(outcome.refusal, how)) {
      this.#fail(`expected ${expectationOf(how)}, but the command was refused in another way.`, shown(outcome), outcome.refusal);
    }
  }

  #expect(expected: readonly Json[]): void {
    const outcome = this.#outcome;
    if ("refusal" in outcome) {
      this.#fail(`expected ${counted(expected)}, but the command was refused.`, shown(outcome), outcome.refusal);
    } else if (!sameJson(outcome.decided, expected)) {
      const { length } = outcome.decided;
      const got = length !== expected.length ? counted(outcome.decided) : length === 1 ? "a different one" : "different ones";
      this.#fail(`expected ${counted(expected)}, but got ${got}.`, difference(expected, outcome.decided, "decided"));
    }
  }
}

function counted({ length }: readonly unknown[]): string {
  return length === 0 ? "nothing" : length === 1 ? "one event" : `${length} events`;
}

function shown(outcome: Outcome): string {
  return "refusal" in outcome ? `, refused\n  ${nameOf(outcome.refusal)}` : listed(outcome.decided);
}
