/** Handlers of subscriptions in tests, and what they are given. */
import type { ConfirmedEvent, Store } from "../../../client/index.ts";
import { event } from "../../support/devices.ts";

export async function note(store: Store, ...data: unknown[]): Promise<void> {
  for (const item of data) await store.appendToStream("Note-1", [event(item)]);
}

/** A handler, and what it was given. */
export function taking(refuse: (event: ConfirmedEvent) => boolean = () => false) {
  const taken: unknown[] = [];
  const handler = async (given: ConfirmedEvent) => {
    if (refuse(given)) throw new Error("no");
    taken.push(given.data);
  };
  return { taken, handler };
}
