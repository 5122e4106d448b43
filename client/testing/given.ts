/**
 * Given what happened, when a command comes, then these events, nothing, or a refusal.
 *
 *     given(decider, ...events).when(command).then(...events) · thenNothing() · thenRefused(how)
 *
 * What does not hold throws, with all of it in the message, which any runner shows. What is decided must be what a store takes, and
 * each command is decided twice: a decider that looks at a clock, or changes the state that it was given, can't decide again.
 *
 * The form is known from Emmett: https://event-driven-io.github.io/emmett/guides/testing.html.
 */
import type { DecidedEvent, Decider } from "../../shared/device/decider.ts";
import { type Json, sameJson } from "../../shared/json.ts";
import { isSameOutcome, type Outcome, outcomeOf, recorded, recordedCommand } from "./outcome.ts";
import { expectationOf, isRefusedAs, nameOf, type Refusal } from "./refusal.ts";
import { difference, listed } from "./story.ts";

export interface Given<Command, Event> {
  when(command: Command): When<Event>;
}

export interface When<Event> {
  /** Exactly these events are decided, in this order. */
  then(...events: readonly Event[]): void;
  /** The command is accepted and changes nothing. */
  thenNothing(): void;
  /** The command is refused in this way. */
  thenRefused(how: Refusal): void;
}

/** @param events what the stream holds already, oldest first */
export function given<State, Command, Event extends DecidedEvent, Evolved>(
  decider: Decider<State, Command, Event, Evolved>,
  ...events: readonly NoInfer<Evolved>[]
): Given<Command, Event> {
  return {
    when(command) {
      const kept = recordedCommand(command, decider.name);
      const outcome = outcomeOf(decider, events, kept);
      const again = outcomeOf(decider, events, kept);
      const fail: Fail = (what, comparison, cause) => {
        const story = `given${listed(events)}\nwhen${listed([command])}\nthen${comparison}`;
        throw new Error(`${decider.name}: ${what}\n\n${story}`, cause === undefined ? {} : { cause });
      };
      if (!isSameOutcome(outcome, again)) {
        fail("decided twice, it came to two things; decide and evolve must be pure.", `${told(outcome)}\nthen again${told(again)}`);
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

  // biome-ignore lint/suspicious/noThenProperty: given, when, then; who waits for it as for a promise is told that it is none
  then(...events: readonly Event[]): void {
    if (typeof events[0] === "function") {
      throw new TypeError("Nothing is waited for here. Say what follows: then(…events), thenNothing() or thenRefused(…).");
    }
    this.#expect(recorded(events, `${this.#name}: what is expected`));
  }

  thenNothing(): void {
    this.#expect([]);
  }

  thenRefused(how: Refusal): void {
    const outcome = this.#outcome;
    if ("decided" in outcome) this.#fail("expected a refusal, but the command was accepted.", told(outcome));
    else if (!isRefusedAs(outcome.refusal, how)) {
      this.#fail(`expected another refusal: ${expectationOf(how)}.`, told(outcome), outcome.refusal);
    }
  }

  #expect(expected: readonly Json[]): void {
    const outcome = this.#outcome;
    if ("refusal" in outcome) {
      this.#fail(`expected ${counted(expected)}, but the command was refused.`, told(outcome), outcome.refusal);
    } else if (!sameJson(outcome.decided, expected)) {
      const came = outcome.decided.length === expected.length ? "something else" : counted(outcome.decided);
      this.#fail(`expected ${counted(expected)}, but ${came} came.`, difference(expected, outcome.decided, "decided"));
    }
  }
}

function counted({ length }: readonly unknown[]): string {
  return length === 0 ? "nothing" : length === 1 ? "one event" : `${length} events`;
}

function told(outcome: Outcome): string {
  return "refusal" in outcome ? `, refused\n  ${nameOf(outcome.refusal)}` : listed(outcome.decided);
}
