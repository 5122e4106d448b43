/** What a checker has against a story: the message of the first violation; undefined if there is none. */
import type { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

/** @param observations one each millisecond. The story ends with the last one */
export function violationOf(checker: Checker, observations: readonly Observation[]): string | undefined {
  try {
    for (const [now, observation] of observations.entries()) checker.see(observation, now);
    checker.finish(observations.length);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
