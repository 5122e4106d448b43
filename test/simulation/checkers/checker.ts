/**
 * The interface of a checker: it records what was observed, and demands something of it. Checkers get observations only, and never read the
 * state of the product. So a mistake is found by its effect on a user, whatever the product believes.
 */
import type { Observation } from "./observation.ts";

export abstract class Checker {
  abstract readonly name: string;
  /** How often the demand was put to something; a checker that has checked nothing has proved nothing. */
  checked = 0;
  /** Whether it sees what a stream answers as long as the stream is put back alone. What it takes then is undone when it is repaired. */
  readonly seesPutBack: boolean = false;
  /** What is allowed, and worth knowing of. */
  readonly noted: Record<string, number> = {};

  /** @param now milliseconds of the world */
  abstract see(observation: Observation, now: number): void;

  /** At the end, when everything has been observed once more. */
  finish(_now: number): void {}

  protected demand(holds: boolean, message: () => string): void {
    this.checked++;
    if (!holds) throw new Violation(this.name, message());
  }
}

/** A promise that was not kept. */
export class Violation extends Error {
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(message);
    this.checker = checker;
  }
}
