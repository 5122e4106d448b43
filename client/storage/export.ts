/** Exports everything that a device holds, so that it can be kept elsewhere. */

import type { PendingCommand } from "../../shared/decider/command.ts";
import type { ParkedEntry, PendingEntry } from "../../shared/device/outbox.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import type { StoreInternals } from "../internals.ts";
import { EVERY_EVENT, stretches } from "./confirmed.ts";
import { parkedEntries, type ReadTx, replicaOf } from "./device-log.ts";
import { entriesOf } from "./groups.ts";
import { allGroups } from "./outbox.ts";

/** A confirmed event, or a commit that is not confirmed: a pending one, or a parked one with its reason. */
export type ExportedCommit =
  | ({ readonly state: "confirmed" } & ConfirmedEvent)
  | {
      readonly state: "pending" | "parked";
      readonly streamId: string;
      /** As the commit was appended, or rebased last. */
      readonly expectedVersion: ExpectedVersion;
      /** Those that are not confirmed yet: a page of the feed may end within a commit. */
      readonly events: readonly EventBody[];
      /** The command for which the events were decided; undefined if there is none. */
      readonly command: PendingCommand | undefined;
      /** Why the commit is parked; undefined if it is pending. */
      readonly reason: string | undefined;
    };

/**
 * Yields the confirmed events in position order, as they were recorded; then the pending commits, oldest first; then the parked commits,
 * oldest first. All are of the moment at which the export begins: an event that is confirmed after that is exported as pending.
 *
 * @throws UnavailableError if the store is reset meanwhile
 */
export async function* exportAll({ database }: StoreInternals): AsyncGenerator<ExportedCommit, void, undefined> {
  const [replica, groups, parked] = await database.run(async (db) => {
    const tx: ReadTx = db.transaction(["events", "parked", "meta"], "readonly");
    return Promise.all([replicaOf(tx), allGroups(tx), parkedEntries(tx)]);
  });
  for await (const events of stretches(database, replica, { after: 0 }, EVERY_EVENT)) {
    for (const event of events) yield { state: "confirmed", ...event };
  }
  yield* groups.flatMap((group) => entriesOf(group)).map(toExported);
  yield* parked.map(toExported);
}

/** What of a commit is not confirmed. */
export function toExported(entry: PendingEntry | ParkedEntry): ExportedCommit {
  const { state, streamId, expectedVersion, command } = entry;
  const events = state === "pending" ? entry.events.slice(entry.confirmed) : entry.events;
  return { state, streamId, expectedVersion, events, command, reason: state === "parked" ? entry.reason.message : undefined };
}
