/** Where a subscription of the device is kept, and how its tabs find each other. */
import type { IDBPDatabase } from "idb";
import type { DeviceSubscription } from "../../shared/device/subscription.ts";
import type { StoreInternals } from "../internals.ts";
import type { Schema } from "../storage/database.ts";
import { whole } from "../storage/device-log.ts";
import { openChannel } from "../sync/tabs.ts";

/** Whoever asks something of a subscription tells the tab that runs it; what is not heard is seen at the next change. */
export function askingChannel(internals: StoreInternals, name: string): BroadcastChannel | undefined {
  return openChannel(lockOf(internals, name));
}

export function lockOf({ name: store }: StoreInternals, name: string): string {
  return `headwater:${store}:subscription:${name}`;
}

export async function readSubscription(db: IDBPDatabase<Schema>, name: string): Promise<DeviceSubscription | undefined> {
  return recordOf(await db.transaction(["checkpoints"], "readonly").objectStore("checkpoints").get(name));
}

/** Databases before version 4 called its dead letters `setAside`. */
function recordOf(stored: DeviceSubscription | undefined): DeviceSubscription | undefined {
  if (stored === undefined || !("setAside" in stored)) return stored;
  const { setAside, ...record } = stored as DeviceSubscription & { setAside: DeviceSubscription["deadLetters"] };
  return { ...record, deadLetters: setAside };
}

export async function changeSubscription(
  db: IDBPDatabase<Schema>,
  name: string,
  change: (now: DeviceSubscription | undefined) => DeviceSubscription,
): Promise<DeviceSubscription> {
  const tx = db.transaction(["checkpoints"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const checkpoints = tx.objectStore("checkpoints");
    const subscription = change(recordOf(await checkpoints.get(name)));
    await checkpoints.put(subscription, name);
    return subscription;
  });
}
