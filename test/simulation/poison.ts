/** Commits that the edge does not accept. Their data says why; a real edge would find out by itself. */
import type { EventBody } from "../../shared/event/event.ts";

/** `fails`: the stream's object throws, always. `refused`: a 4xx for the whole push. `rejected`: by itself. `large`: a 413. */
export type Poison = "fails" | "refused" | "rejected" | "large";

export function poisonOf(events: readonly EventBody[]): Poison | undefined {
  for (const { data } of events) {
    if (typeof data !== "object" || data === null || !("poison" in data)) continue;
    const { poison } = data;
    if (poison === "fails" || poison === "refused" || poison === "rejected" || poison === "large") return poison;
  }
  return undefined;
}
