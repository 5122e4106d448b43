/** Parked commits as the app sees them. */

import type { PendingCommand } from "../../shared/device/decider.ts";
import type { ParkedEntry } from "../../shared/device/outbox.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import { exactVersion } from "../../shared/expected-version.ts";
import type { StoreInternals } from "../internals.ts";
import type { ReadTx } from "../storage/device-log.ts";
import { confirmedEvents, parkedEntries } from "../storage/device-log.ts";

/** A commit of this device that the edge refused. It stays until the app resolves it. */
export interface Conflict {
  readonly streamId: string;
  /** What this device wanted to append. */
  readonly events: readonly EventBody[];
  readonly expectedVersion: ExpectedVersion;
  /** The stream's version at the edge when the commit was refused; 0 where it was refused for another reason. */
  readonly actualVersion: number;
  /** `version-conflict`, or why else the edge will not have it. */
  readonly code: ErrorCode;
  /** What the events were decided for, where they were. */
  readonly command: PendingCommand | undefined;
  /** The same as a sentence. */
  readonly reason: string;
  /** What the edge holds from where this device's belief ended. */
  readonly theirs: readonly ConfirmedEvent[];
  /**
   * Puts the events behind everything the stream holds now, to be pushed by the next sync. A command is decided again on that instead.
   *
   * @throws InvalidRequestError where the command is refused again; the conflict stays
   */
  rebase(): Promise<void>;
  /** Lets go of the events for good. */
  discard(): Promise<void>;
}

/** All parked commits, oldest first. */
export async function readConflicts(
  { database, read }: StoreInternals,
  resolve: (seq: number, isRebase: boolean) => Promise<void>,
): Promise<Conflict[]> {
  return database.run(async (db) => {
    const tx: ReadTx = db.transaction(["parked", "events"], "readonly");
    const entries = await parkedEntries(tx);
    const reading = [...Map.groupBy(entries, ({ streamId }) => streamId)].map(async ([streamId, parked]) => {
      const base = Math.min(...parked.map((entry) => believedVersion(entry)));
      return [streamId, await confirmedEvents(tx, streamId, base + 1)] as const;
    });
    const arrived = new Map(await Promise.all(reading));
    return entries.map(({ seq, streamId, events, expectedVersion, reason, command }): Conflict => {
      return {
        streamId,
        events,
        expectedVersion,
        actualVersion: reason.actualVersion,
        code: reason.code,
        command,
        reason: reason.message,
        theirs:
          arrived
            .get(streamId)
            ?.filter(({ id }) => events.every((own) => own.id !== id))
            .map((event) => read(event)) ?? [],
        rebase: () => resolve(seq, true),
        discard: () => resolve(seq, false),
      };
    });
  });
}

/** The version up to which the writer knew the stream when it made the commit. */
function believedVersion(entry: ParkedEntry): number {
  return exactVersion(entry.expectedVersion) ?? Number.POSITIVE_INFINITY;
}
