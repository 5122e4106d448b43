/** An app only gets errors with a code, and nothing is thrown that nobody can catch. */
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class ErrorsChecker extends Checker {
  readonly name = "errors";

  see(observation: Observation): void {
    if (observation.kind === "accepted" || observation.kind === "refused") this.checked++;
    if (observation.kind !== "uncaught") return;
    const { where, error } = observation;
    this.demand(false, () => `${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
}
