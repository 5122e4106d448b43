/** Where the record of a subscription is stored on the device, and the channel between its tabs. */
import type { IDBPDatabase } from "idb";
import type { DeviceSubscription } from "../../shared/device/subscription.ts";
import type { DeadLetter } from "../../shared/subscription.ts";
import type { StoreInternals } from "../internals.ts";
import type { Schema } from "../storage/database.ts";
import { whole } from "../storage/device-log.ts";
import { openChannel } from "../sync/tabs.ts";

/** Without BroadcastChannel: those that are open in this tab. */
const inThisTab = new Set<RecordChannel>();

/**
 * A channel between whoever uses the record: the tab that runs the handler, and the tabs that show the status. Who has written the record
 * notifies the others. It is only a hint: a tab that misses a message reads the record at the next change of the store. A browser without
 * BroadcastChannel has such hints within one tab.
 */
export class RecordChannel {
  readonly #name: string;
  readonly #heard: () => void;
  readonly #channel: BroadcastChannel | undefined;

  /** @param heard called after others have written the record */
  constructor(internals: StoreInternals, name: string, heard: () => void) {
    this.#name = lockOf(internals, name);
    this.#heard = heard;
    this.#channel = openChannel(this.#name);
    if (this.#channel === undefined) inThisTab.add(this);
    else this.#channel.onmessage = heard;
  }

  notify(): void {
    this.#channel?.postMessage(null);
    for (const other of inThisTab) if (other !== this && other.#name === this.#name) other.#heard();
  }

  close(): void {
    inThisTab.delete(this);
    this.#channel?.close();
  }
}

export function lockOf({ name: store }: StoreInternals, name: string): string {
  return `headwater:${store}:subscription:${name}`;
}

export async function readSubscription(db: IDBPDatabase<Schema>, name: string): Promise<DeviceSubscription | undefined> {
  return recordOf(await db.transaction(["checkpoints"], "readonly").objectStore("checkpoints").get(name));
}

/**
 * @param durability `relaxed` for the progress of a handler: after a crash, events are handed over again. `strict` for what an operator
 *   requests
 */
export async function changeSubscription(
  db: IDBPDatabase<Schema>,
  name: string,
  change: (now: DeviceSubscription | undefined) => DeviceSubscription,
  durability: "relaxed" | "strict",
): Promise<DeviceSubscription> {
  const tx = db.transaction(["checkpoints"], "readwrite", { durability });
  return whole(tx, async () => {
    const checkpoints = tx.objectStore("checkpoints");
    const subscription = change(recordOf(await checkpoints.get(name)));
    await checkpoints.put(subscription, name);
    return subscription;
  });
}

/** A record as it is stored in databases before version 4. */
type OldRecord = Omit<DeviceSubscription, "deadLetters" | "error"> & {
  readonly reason: string | null;
  readonly setAside: readonly (Omit<DeadLetter, "error" | "type"> & { readonly reason: string })[];
};

function recordOf(stored: DeviceSubscription | OldRecord | undefined): DeviceSubscription | undefined {
  if (stored === undefined || !("setAside" in stored)) return stored;
  const { setAside, reason: error, ...record } = stored;
  return { ...record, error, deadLetters: setAside.map(({ reason, ...event }) => ({ ...event, type: "", error: reason })) };
}
