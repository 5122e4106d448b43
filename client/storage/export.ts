/** Exports everything that a device holds, so that it can be kept elsewhere. */

import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import type { StoreInternals } from "../internals.ts";
import { EVERY_EVENT, stretches } from "./confirmed.ts";
import { allGroups, parkedEntries, readReplica } from "./device-log.ts";
import { entriesOf } from "./groups.ts";

/** A confirmed event, or a commit that is not confirmed: a pending one, or a parked one with its reason. */
export type ExportedCommit =
  | ({ readonly state: "confirmed" } & ConfirmedEvent)
  | {
      readonly state: "pending" | "parked";
      readonly streamId: string;
      readonly expectedVersion: ExpectedVersion;
      readonly events: readonly EventBody[];
      /** Why the commit is parked; undefined if it is pending. */
      readonly reason: string | undefined;
    };

/**
 * Yields the confirmed events in position order, as they were recorded; then the pending commits, oldest first; then the parked commits,
 * oldest first.
 *
 * @throws UnavailableError if the store is reset meanwhile
 */
export async function* exportAll({ database }: StoreInternals): AsyncGenerator<ExportedCommit, void, undefined> {
  const replica = await database.run(readReplica);
  for await (const events of stretches(database, replica, { after: 0 }, EVERY_EVENT)) {
    for (const event of events) yield { state: "confirmed", ...event };
  }
  const pending = await database.run(allGroups);
  const parked = await database.run((db) => parkedEntries(db.transaction(["parked"], "readonly")));
  for (const entry of [...pending.flatMap((group) => entriesOf(group)), ...parked]) {
    const { state, streamId, expectedVersion, events } = entry;
    yield { state, streamId, expectedVersion, events, reason: "reason" in entry ? entry.reason.message : undefined };
  }
}
