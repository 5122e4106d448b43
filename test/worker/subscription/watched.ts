/** Handlers whose calls are recorded, for the tests of subscriptions at the edge. */
import { expect, vi } from "vitest";
import { HandlerError } from "../../../shared/subscription.ts";
import type { ConfirmedEvent, HandlerContext } from "../../../worker/index.ts";
import { event } from "../edge-calls.ts";
import { handling, type SubscribedStore } from "../edges.ts";

/** What a subscription was given, as positions, call by call. */
export function watch(
  store: SubscribedStore,
  name: string,
  refuse: (events: readonly ConfirmedEvent[], context: HandlerContext) => unknown = () => {},
) {
  const calls: number[][] = [];
  handling(store.id, name, async (events, context) => {
    calls.push(events.map(({ position }) => position));
    await refuse(events, context);
  });
  return calls;
}

export function bad(): object {
  return event("Happened", { bad: true });
}

export function isBad({ data }: ConfirmedEvent): boolean {
  return typeof data === "object" && data !== null && "bad" in data;
}

/** Refuses each batch that has a bad event in it, as long as it is `broken`. */
export function refusing() {
  const state = { broken: true };
  const refuse = (events: readonly ConfirmedEvent[]) => {
    if (state.broken && events.some(isBad)) throw new HandlerError("That is bad.");
  };
  return Object.assign(refuse, { state });
}

export async function until(store: SubscribedStore, name: string, expected: object): Promise<void> {
  await vi.waitFor(async () => expect(await store.status(name)).toMatchObject(expected), { timeout: 20_000, interval: 20 });
}
