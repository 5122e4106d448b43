/**
 * While two versions of an app are in use, code of one version is given no command of the other's form: neither by a device, nor by the edge.
 * No command becomes a conflict because it is for another version: it waits, and is decided in the end, as the checker of convergence demands.
 */
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class VersionsChecker extends Checker {
  readonly name = "versions";
  /** The keys of the commands that apps have given. What a hostile client gives may have any form. */
  readonly #given = new Set<string>();

  see(observation: Observation): void {
    if (observation.kind === "commanded") this.#given.add(observation.key);
    if (observation.kind === "stream") this.#isAboutNoVersion(observation);
    if (observation.kind !== "decides" || !this.#given.has(observation.key)) return;
    const { where, key, version, form } = observation;
    this.demand(version === form, () => `${where}: version ${version} of the decider is given ${key}, in the form of version ${form}`);
  }

  #isAboutNoVersion({ device, streamId, conflicts = [] }: Observation & { kind: "stream" }): void {
    for (const { reason } of conflicts) {
      this.demand(!/version \d+ of the decider/.test(reason), () => `${device}: a command to ${streamId} is a conflict: ${reason}`);
    }
  }
}
