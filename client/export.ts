/** Everything that a device holds, to be kept elsewhere. */
import type { ConfirmedEvent, EventBody } from "../shared/event.ts";
import type { ExpectedVersion } from "../shared/expected-version.ts";
import { entriesOf } from "./bundles.ts";
import type { Database } from "./database.ts";
import { bundlesFrom, toParkedEntry } from "./device-log.ts";

/** A confirmed event, or a commit that is not confirmed: pending, or parked with the reason. */
export type Exported =
  | ({ readonly state: "confirmed" } & ConfirmedEvent)
  | {
      readonly state: "pending" | "parked";
      readonly streamId: string;
      readonly expectedVersion: ExpectedVersion;
      readonly events: readonly EventBody[];
      readonly reason?: string;
    };

/** The commits that are not confirmed, oldest first: the pending ones, then the parked ones. */
export async function* exportOutbox(database: Database): AsyncGenerator<Exported, void, undefined> {
  for (let key = 0; ; ) {
    const from = key;
    const bundles = await database.run((db) => bundlesFrom(db, from));
    for (const { streamId, expectedVersion, events } of bundles.flatMap((bundle) => entriesOf(bundle))) {
      yield { state: "pending", streamId, expectedVersion, events };
    }
    const last = bundles.at(-1);
    if (last === undefined) break;
    key = last.key + 1;
  }
  for (const record of await database.run((db) => db.transaction(["parked"], "readonly").objectStore("parked").getAll())) {
    const { streamId, expectedVersion, events, reason } = toParkedEntry(record);
    yield { state: "parked", streamId, expectedVersion, events, reason: reason.message };
  }
}
