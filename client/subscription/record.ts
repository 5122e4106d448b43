/** Where a subscription of the device is kept, and how its tabs find each other. */
import type { IDBPDatabase } from "idb";
import type { DeviceSubscription } from "../../shared/device/subscription.ts";
import type { Kit } from "../internals.ts";
import type { Schema } from "../storage/database.ts";
import { whole } from "../storage/device-log.ts";
import { openChannel } from "../sync/tabs.ts";

/** Whoever asks something of a subscription tells the tab that runs it; what is not heard is seen at the next change. */
export function askingChannel(kit: Kit, name: string): BroadcastChannel | undefined {
  return openChannel(lockOf(kit, name));
}

export function lockOf({ name: store }: Kit, name: string): string {
  return `headwater:${store}:subscription:${name}`;
}

export async function readSubscription(db: IDBPDatabase<Schema>, name: string): Promise<DeviceSubscription | undefined> {
  return db.transaction(["checkpoints"], "readonly").objectStore("checkpoints").get(name);
}

export async function changeSubscription(
  db: IDBPDatabase<Schema>,
  name: string,
  change: (now: DeviceSubscription | undefined) => DeviceSubscription,
): Promise<DeviceSubscription> {
  const tx = db.transaction(["checkpoints"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const checkpoints = tx.objectStore("checkpoints");
    const subscription = change(await checkpoints.get(name));
    await checkpoints.put(subscription, name);
    return subscription;
  });
}
