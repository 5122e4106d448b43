/**
 * Commits that the edge does not accept. `fails`: the stream's object dies of it, always. `rejected`: an event is larger than the edge
 * allows. `large`: not even a push of this commit alone is small enough.
 */
import type { EventBody } from "../../shared/event/event.ts";

export type Poison = "fails" | "rejected" | "large";

/** Limits of the worlds' edges, in bytes: an event with more is rejected, a body with more is not read. */
export const EVENT_BYTES = 2_000;
export const BODY_BYTES = 30_000;

export function poisoned<D extends object>(data: D, poison: Poison): D & { poison: Poison; pad: string } {
  const bytes = poison === "fails" ? 0 : poison === "rejected" ? EVENT_BYTES + 500 : BODY_BYTES + 500;
  return { ...data, poison, pad: "x".repeat(bytes) };
}

export function poisonOf(events: readonly Pick<EventBody, "data">[]): Poison | undefined {
  for (const { data } of events) {
    if (typeof data !== "object" || data === null || !("poison" in data)) continue;
    const { poison } = data;
    if (poison === "fails" || poison === "rejected" || poison === "large") return poison;
  }
  return undefined;
}
