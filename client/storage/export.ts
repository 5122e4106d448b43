/** Everything that a device holds, to be kept elsewhere. */

import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import type { StoreInternals } from "../internals.ts";
import { EVERY_EVENT, stretches } from "./confirmed.ts";
import { allGroups, parkedEntries, readReplica } from "./device-log.ts";
import { entriesOf } from "./groups.ts";

/** A confirmed event, or a commit that is not confirmed: pending, or parked with the reason. */
export type ExportedCommit =
  | ({ readonly state: "confirmed" } & ConfirmedEvent)
  | {
      readonly state: "pending" | "parked";
      readonly streamId: string;
      readonly expectedVersion: ExpectedVersion;
      readonly events: readonly EventBody[];
      /** Of a parked one. */
      readonly reason: string | undefined;
    };

/** Confirmed events in position order, as they were recorded; then the commits that are not, oldest first: the pending ones, then the parked ones. */
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
