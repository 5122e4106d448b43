/** Invariant 3: an event id occurs at most once in a stream. */
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class UniqueIdsChecker extends Checker {
  readonly name = "3 unique ids";

  see(observation: Observation): void {
    if (observation.kind === "stream")
      this.#compare(
        `${observation.device}:${observation.streamId}`,
        observation.events.map(({ body }) => body.id),
      );
    else if (observation.kind === "edge-stream")
      this.#compare(
        `${observation.store}/${observation.streamId}`,
        observation.events.map(({ id }) => id),
      );
  }

  #compare(where: string, ids: readonly string[]): void {
    this.demand(new Set(ids).size === ids.length, () => `${where} holds ${ids.find((id, i) => ids.indexOf(id) !== i)} twice`);
  }
}
