/** What is read in one way agrees with what is known in another, e.g. what was answered before. */
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

/** Characters of a value in a message. */
const SHOWN = 600;

export class ReadingsChecker extends Checker {
  readonly name = "readings";

  see(observation: Observation): void {
    if (observation.kind !== "compared") return;
    const { where, what, isSame, read, expected } = observation;
    const shown = (value: unknown) => (JSON.stringify(value) ?? "undefined").slice(0, SHOWN);
    this.demand(isSame, () => `${where}: ${what} is ${shown(read)}, and should be ${shown(expected)}`);
  }
}
