/** A person signs out: shows what exists on this device alone, or deletes the device's data. */
import type { StoreInternals } from "../internals.ts";
import { isSegment, pagesAfter, parkedEntries, replicaOf, type WriteTx, whole } from "./device-log.ts";
import { eraseDatabase } from "./erase.ts";
import { type ExportedCommit, toExported } from "./export.ts";
import { entriesOf } from "./groups.ts";
import { allGroups } from "./outbox.ts";
import { changeOwner, ownerOf } from "./owner.ts";
import { eventsOfPages } from "./segments.ts";

export interface SignedOut {
  /** Whether the device's data was deleted. */
  readonly isDeleted: boolean;
  /** What exists on this device alone: pending commits, parked ones, and all events of a store without `sync`. */
  readonly unconfirmed: readonly ExportedCommit[];
}

/** @param discard whether to delete although something exists on this device alone */
export async function signOut({ database, platform, name }: StoreInternals, discard: boolean): Promise<SignedOut> {
  const unconfirmed = await database.run(async (db) => {
    const tx: WriteTx = db.transaction(["events", "parked", "meta"], "readwrite", { durability: "strict" });
    return whole(tx, async () => {
      const [replica, groups, parked, owner] = await Promise.all([replicaOf(tx), allGroups(tx), parkedEntries(tx), ownerOf(tx)]);
      const isLocal = replica.authority === "device";
      const local = isLocal ? eventsOfPages((await tx.objectStore("events").getAll(pagesAfter(tx, 0))).filter(isSegment)) : [];
      const left: ExportedCommit[] = [
        ...local.map((event) => ({ state: "confirmed" as const, ...event })),
        ...groups.flatMap((group) => entriesOf(group)).map(toExported),
        ...parked.map(toExported),
      ];
      // From here on no tab appends: what was not shown can't be deleted.
      if (left.length === 0 || discard) await changeOwner(tx, { ...owner, ending: "signed-out" });
      return left;
    });
  });
  if (unconfirmed.length > 0 && !discard) return { isDeleted: false, unconfirmed };
  await eraseDatabase(platform, name);
  return { isDeleted: true, unconfirmed };
}
