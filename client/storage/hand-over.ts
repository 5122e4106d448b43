/**
 * Hands what was recorded without a person over to the first person who opens the store.
 *
 *     nobody's database: frozen for this person ──► the person's database: takes it ──► nobody's database: emptied
 *             └── killed, or another tab ─────────────┴──── each step is one transaction, and is done once ──┘
 *
 * A new database takes everything, with the replica. One that is in use takes the commits that are not confirmed.
 */
import type { IDBPDatabase } from "idb";
import { nextTerm } from "../../shared/device/leadership.ts";
import type { OutboxEntry, ParkedEntry, PendingEntry } from "../../shared/device/outbox.ts";
import { type Claim, decideOwner, type Owner } from "../../shared/device/owner.ts";
import { detach, notHeld } from "../../shared/device/parked.ts";
import { emptyReplica } from "../../shared/device/same-copy.ts";
import type { StoreInternals } from "../internals.ts";
import { newId } from "../tools/new-id.ts";
import { LocalOrder } from "./appender.ts";
import { Database, type Schema, type StoreName } from "./database.ts";
import {
  addToOutbox,
  firstKey,
  isGroup,
  isSegment,
  leaseOf,
  recordedCommands,
  recordedEvents,
  replicaOf,
  skipNumber,
  toParkedEntry,
  toParkedRecord,
  versionOf,
  type WriteTx,
  whole,
} from "./device-log.ts";
import { entriesOf, seqOf } from "./groups.ts";
import { changeOwner, ownerOf } from "./owner.ts";
import { eventsOfPages } from "./segments.ts";
import { entriesOfRuns } from "./take-over.ts";
import { forgetTally } from "./tally.ts";

const ALL: StoreName[] = ["events", "parked", "meta", "lease", "snapshots", "checkpoints"];
const MESSAGE = "The store was handed over to a person";

/** Everything that a database holds, with the handover that it belongs to. */
interface Gift {
  readonly id: string;
  readonly events: readonly Schema["events"]["value"][];
  readonly parked: readonly Schema["parked"]["value"][];
  readonly snapshots: readonly Schema["snapshots"]["value"][];
  readonly checkpoints: readonly (readonly [name: string, value: Schema["checkpoints"]["value"]])[];
  readonly replica: Awaited<ReturnType<typeof replicaOf>>;
}

/**
 * @param from the name of the database of nobody
 * @param claim who takes it, and at which address
 * @returns true if something was handed over
 */
export async function handOver({ database, platform }: StoreInternals, from: string, claim: Claim): Promise<boolean> {
  const nobodys = new Database(from, platform, {}, { onEnded: () => undefined, onReopened: () => undefined });
  try {
    const gift = await nobodys.run((db) => freeze(db, claim));
    if (gift === undefined) return false;
    await database.run((db) => take(db, gift));
    await nobodys.run((db) => empty(db, gift.id));
    forgetTally(platform, from);
    return true;
  } finally {
    await nobodys.close();
  }
}

/** Nothing is appended to it from here on. @returns undefined if there is nothing, or it is somebody else's */
async function freeze(db: IDBPDatabase<Schema>, claim: Claim): Promise<Gift | undefined> {
  const tx: WriteTx = db.transaction(ALL, "readwrite", { durability: "strict" });
  return whole(tx, async () => {
    const owner = await ownerOf(tx);
    const { ending } = owner;
    const decision = decideOwner(owner, claim);
    if (ending === "signed-out" || decision.kind === "refused") return undefined;
    const [replica, events, parked, snapshots, names, records] = await Promise.all([
      replicaOf(tx),
      tx.objectStore("events").getAll(),
      tx.objectStore("parked").getAll(),
      tx.objectStore("snapshots").getAll(),
      tx.objectStore("checkpoints").getAllKeys(),
      tx.objectStore("checkpoints").getAll(),
    ]);
    if (events.length + parked.length === 0) return undefined;
    const id = ending?.handover ?? newId();
    await changeOwner(tx, { ...owner, person: claim.person, ending: { handover: id } });
    const checkpoints = records.map((record, i) => [names[i] ?? "", record] as const);
    return { id, events, parked, snapshots, checkpoints, replica };
  });
}

async function take(db: IDBPDatabase<Schema>, gift: Gift): Promise<void> {
  const tx: WriteTx = db.transaction(ALL, "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const [owner, replica, first, parked] = await Promise.all([ownerOf(tx), replicaOf(tx), firstKey(tx), tx.objectStore("parked").count()]);
    const { taken = [] } = owner;
    if (taken.includes(gift.id)) return; // another tab was faster
    const isNew = replica.log === null && first === undefined && parked === 0;
    await Promise.all(isNew ? copy(tx, gift) : await add(tx, gift, replica.authority === "device" ? new LocalOrder(replica) : undefined));
    await changeOwner(tx, { ...owner, taken: [...taken, gift.id] });
  });
}

function copy(tx: WriteTx, { events, parked, snapshots, checkpoints, replica }: Gift): Promise<unknown>[] {
  return [
    ...events.map((record) => tx.objectStore("events").put(record)),
    ...parked.map((record) => tx.objectStore("parked").put(record)),
    ...snapshots.map((record) => tx.objectStore("snapshots").put(record)),
    ...checkpoints.map(([name, record]) => tx.objectStore("checkpoints").put(record, name)),
    tx.objectStore("meta").put(replica, "history"),
  ];
}

/** @param local orders the events of a store without `sync` */
async function add(tx: WriteTx, gift: Gift, local: LocalOrder | undefined): Promise<Promise<unknown>[]> {
  const ordered = gift.replica.authority === "device" ? entriesOfRuns(eventsOfPages(gift.events.filter(isSegment))) : [];
  // Until they get their keys, their order stands for them.
  const pending = await notHeldIn(
    tx,
    [...ordered, ...gift.events.filter(isGroup).flatMap((group) => entriesOf(group))].map((entry, seq) => ({
      ...entry,
      seq,
    })),
  );
  const versions = new Map(
    await Promise.all([...new Set(pending.map(({ streamId }) => streamId))].map(async (id) => [id, await versionOf(tx, id)] as const)),
  );
  const detached = [...versions].flatMap(([streamId, version]) =>
    detach(
      pending.filter((entry) => entry.streamId === streamId),
      version,
      MESSAGE,
    ),
  );
  const kept = detached.filter((entry): entry is PendingEntry => entry.state === "pending").sort((a, b) => a.seq - b.seq);
  const writes: Promise<unknown>[] = [];
  if (local === undefined) writes.push(...addToOutbox(tx, kept));
  else {
    for (const entry of kept) local.record(entry, entry.firstVersion);
    writes.push(...local.write(tx).writes);
  }
  const parked = detached.filter((entry): entry is ParkedEntry => entry.state === "parked").sort((a, b) => a.seq - b.seq);
  const wereParked = await notHeldIn(tx, gift.parked.map(toParkedEntry));
  for (const record of [...parked, ...wereParked].map(toParkedRecord)) {
    writes.push(tx.objectStore("parked").put({ ...record, seq: await newSeq(tx) }));
  }
  return writes;
}

/** Those whose events the database does not hold. */
async function notHeldIn<E extends OutboxEntry>(tx: WriteTx, entries: readonly E[]): Promise<readonly E[]> {
  const streams = Map.groupBy(entries, ({ streamId }) => streamId);
  const kept = await Promise.all(
    [...streams].map(async ([streamId, of]) => {
      const ids = new Set(of.flatMap(({ events }) => events.map(({ id }) => id)));
      return notHeld(of, await recordedEvents(tx, streamId, ids), await recordedCommands(tx, of));
    }),
  );
  return kept.flat().sort((a, b) => a.seq - b.seq);
}

/** A place of the outbox that no other commit gets. */
async function newSeq(tx: WriteTx): Promise<number> {
  const events = tx.objectStore("events");
  const key = await events.add({ streams: [], commits: [] });
  await events.delete(key);
  return seqOf(Number(key), 0);
}

/** The database is nobody's again, and a sync that is running can't write any more. */
async function empty(db: IDBPDatabase<Schema>, id: string): Promise<void> {
  const tx: WriteTx = db.transaction(ALL, "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const { ending }: Owner = await ownerOf(tx);
    if (typeof ending !== "object" || ending.handover !== id) return; // another tab was faster
    await skipNumber(tx);
    await Promise.all([
      ...(["events", "parked", "snapshots", "checkpoints"] as const).map((name) => tx.objectStore(name).clear()),
      tx.objectStore("lease").put(nextTerm(await leaseOf(tx)), "leader"),
      tx.objectStore("meta").put(emptyReplica(await replicaOf(tx)), "history"),
      tx.objectStore("meta").delete("owner"),
    ]);
  });
}
