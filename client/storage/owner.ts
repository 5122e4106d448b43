/** Whom the database belongs to, as it is stored: read, compared and recorded within one transaction. */
import type { IDBPDatabase } from "idb";
import { nextTerm } from "../../shared/device/leadership.ts";
import { type Claim, decideOwner, NOBODY, type Owner, refusalOf } from "../../shared/device/owner.ts";
import { OwnerMismatchError, StoreClosedError } from "../../shared/errors.ts";
import { DELETED } from "./connection.ts";
import type { Schema } from "./database.ts";
import { leaseOf, type ReadTx, skipNumber, type WriteTx, whole } from "./device-log.ts";

export async function ownerOf(tx: ReadTx): Promise<Owner> {
  return { ...NOBODY, ...(await tx.objectStore("meta").get("owner")) };
}

/**
 * The owner with what this claim adds to it.
 *
 * @throws OwnerMismatchError if the database belongs to another person or address; StoreClosedError if it ends
 */
export function claimed(owner: Owner, claim: Claim): Owner {
  const { ending } = owner;
  if (ending === "signed-out") throw new StoreClosedError(DELETED);
  const decision: ReturnType<typeof decideOwner> =
    ending === undefined
      ? decideOwner(owner, claim)
      : { kind: "refused", field: "person", owner: owner.person ?? "", given: claim.person ?? "nobody" };
  if (decision.kind === "owned") return decision.owner;
  const { field, owner: known, given } = decision;
  throw new OwnerMismatchError(refusalOf(decision), { field, owner: known, given });
}

/** Records what the claim adds. @returns the owner afterwards @throws what `claimed` throws: nothing was written */
export async function claimDatabase(db: IDBPDatabase<Schema>, claim: Claim): Promise<Owner> {
  const read = await ownerOf(db.transaction(["meta"], "readonly"));
  if (claimed(read, claim) === read) return read;
  const tx: WriteTx = db.transaction(["events", "meta", "lease"], "readwrite", { durability: "strict" });
  return whole(tx, async () => {
    const before = await ownerOf(tx);
    const owner = claimed(before, claim);
    await changeOwner(tx, owner);
    // A tab that syncs with the address before must not write any more.
    if (before.url !== null && before.url !== owner.url) await tx.objectStore("lease").put(nextTerm(await leaseOf(tx)), "leader");
    return owner;
  });
}

/** Other tabs read the owner again before they append: `version-memory.ts`. */
export async function changeOwner(tx: WriteTx, owner: Owner): Promise<void> {
  await Promise.all([skipNumber(tx), tx.objectStore("meta").put(owner, "owner")]);
}
