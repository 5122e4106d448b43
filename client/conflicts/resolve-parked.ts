/** The two ways out of a conflict. */
import { refusalError } from "../../shared/append.ts";
import type { ParkedEntry } from "../../shared/device/outbox.ts";
import { rebaseParked } from "../../shared/device/parked.ts";
import type { Resolve } from "../../shared/device/resolution.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { StoreInternals } from "../internals.ts";
import type { WriteTx } from "../storage/device-log.ts";
import { addToOutbox, recordedEvents, streamEvents, toParkedEntry, versionOf, whole } from "../storage/device-log.ts";

/**
 * Puts a parked commit behind everything its stream holds now, or lets go of it.
 *
 * @param again decides a command again
 * @throws EventIdReusedError where the stream holds something else by the same ids
 * @throws InvalidRequestError where a command is refused again, or the commit was resolved already
 */
export async function resolveParked(
  { database }: StoreInternals,
  seq: number,
  isRebase: boolean,
  again: Resolve<ConfirmedEvent>,
): Promise<void> {
  await database.run(async (db) => {
    const tx: WriteTx = db.transaction(["parked", "events"], "readwrite", { durability: "strict" });
    await whole(tx, async () => {
      const store = tx.objectStore("parked");
      const record = await store.get(seq);
      if (record === undefined) throw new InvalidRequestError("It was resolved already.");
      const writes: Promise<unknown>[] = [store.delete(seq)];
      if (isRebase) writes.push(...(await putBehind(tx, toParkedEntry(record), again)));
      await Promise.all(writes);
    });
  });
}

async function putBehind(tx: WriteTx, parked: ParkedEntry, again: Resolve<ConfirmedEvent>): Promise<Promise<unknown>[]> {
  const { streamId, seq } = parked;
  const recorded = await recordedEvents(tx, streamId, new Set(parked.events.map(({ id }) => id)));
  const entry = recorded.size === 0 ? await decidedAgain(tx, parked, again) : parked;
  const rebase = rebaseParked(entry, seq, { version: await versionOf(tx, streamId), recorded });
  if (rebase.kind === "refused") throw refusalError(rebase);
  return rebase.kind === "rebased" ? addToOutbox(tx, [rebase.entry]) : [];
}

/** A command that was made on a history that was let go of may be at the edge already: it is not made another one. */
async function decidedAgain(tx: WriteTx, parked: ParkedEntry, again: Resolve<ConfirmedEvent>): Promise<ParkedEntry> {
  const { streamId, command, reason } = parked;
  if (command === undefined || reason.code === "log-mismatch") return { ...parked, command: undefined };
  const ahead = await streamEvents(tx, streamId, 1, Number.POSITIVE_INFINITY);
  const resolution = again({ ...parked, actualVersion: reason.actualVersion, theirs: [], recorded: [], ahead });
  if (resolution.kind !== "rebase") throw new InvalidRequestError(resolution.kind === "park" ? resolution.why : undefined);
  return { ...parked, events: resolution.events ?? parked.events };
}
