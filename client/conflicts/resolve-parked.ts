/** Resolves a conflict: rebases or discards the parked commit. */
import { refusalError } from "../../shared/append.ts";
import { isRefusal, type ParkedEntry } from "../../shared/device/outbox.ts";
import { rebaseParked } from "../../shared/device/parked.ts";
import type { Resolve } from "../../shared/device/resolution.ts";
import { aboutStream, InvalidRequestError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { StoreInternals } from "../internals.ts";
import type { WriteTx } from "../storage/device-log.ts";
import { addToOutbox, recordedCommands, recordedEvents, streamEvents, toParkedEntry, versionOf, whole } from "../storage/device-log.ts";
import { newId } from "../tools/new-id.ts";

/**
 * Appends a parked commit after all events that its stream has now, or deletes it.
 *
 * @param seq the parked entry
 * @param isRebase true: append it again; false: delete it
 * @param again decides its command again
 * @throws EventIdReusedError if the stream holds other events with the same ids
 * @throws InvalidRequestError if a command is refused again, or the conflict was resolved already
 */
export async function resolveParked(
  { database }: StoreInternals,
  seq: number,
  isRebase: boolean,
  again: Resolve<ConfirmedEvent>,
): Promise<void> {
  await database.run(async (db, isRepeated) => {
    const tx: WriteTx = db.transaction(["parked", "events"], "readwrite", { durability: "strict" });
    await whole(tx, async () => {
      const store = tx.objectStore("parked");
      const record = await store.get(seq);
      // The first try was committed, though its connection was dead.
      if (record === undefined && isRepeated) return;
      if (record === undefined) throw new InvalidRequestError("This conflict was resolved already. Read `conflicts()` again.");
      const writes: Promise<unknown>[] = [store.delete(seq)];
      if (isRebase) writes.push(...(await putBehind(tx, toParkedEntry(record), again)));
      await Promise.all(writes);
    });
  });
}

async function putBehind(tx: WriteTx, parked: ParkedEntry, again: Resolve<ConfirmedEvent>): Promise<Promise<unknown>[]> {
  const { streamId, seq } = parked;
  const recorded = await recordedEvents(tx, streamId, new Set(parked.events.map(({ id }) => id)));
  // The edge has decided its command after all.
  if (recorded.size === 0 && (await recordedCommands(tx, [parked])).size > 0) return [];
  const entry = recorded.size === 0 ? await decidedAgain(tx, parked, again) : parked;
  const rebase = rebaseParked(entry, seq, { version: await versionOf(tx, streamId), recorded });
  if (rebase.kind === "refused") throw aboutStream(refusalError(rebase), streamId);
  return rebase.kind === "rebased" ? addToOutbox(tx, [rebase.entry]) : [];
}

/**
 * Decides a command again. A commit that a reset parked (`log-mismatch`) may be at the edge already, so it keeps its events. The edge answers a
 * command that it has refused as before, whenever it comes: it is given once more, as another one.
 */
async function decidedAgain(tx: WriteTx, parked: ParkedEntry, again: Resolve<ConfirmedEvent>): Promise<ParkedEntry> {
  const { streamId, command, reason } = parked;
  if (command === undefined || reason.code === "log-mismatch") return parked;
  const given = isRefusal(reason) ? { ...command, id: newId() } : command;
  const ahead = await streamEvents(tx, streamId, 1, Number.POSITIVE_INFINITY);
  const resolution = again({ ...parked, command: given, actualVersion: reason.actualVersion, theirs: [], recorded: [], ahead });
  if (resolution.kind !== "rebase") {
    const why = resolution.kind === "park" ? resolution.why : resolution.kind === "wait" ? resolution.error.message : undefined;
    throw new InvalidRequestError(why ?? "The command could not be decided again. The conflict stays.");
  }
  return { ...parked, command: given, events: resolution.events ?? parked.events };
}
