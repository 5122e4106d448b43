/** Parked commits as the app sees them. */

import type { CommandRefusal, PendingCommand } from "../../shared/decider/command.ts";
import { isRefusal, type ParkedEntry, type ParkReason } from "../../shared/device/outbox.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import { exactVersion } from "../../shared/expected-version.ts";
import type { StoreInternals } from "../internals.ts";
import type { ReadTx } from "../storage/device-log.ts";
import { confirmedEvents, parkedEntries } from "../storage/device-log.ts";

/** A commit of this device that the edge rejected, or that a rule parked. It stays until the app resolves it. */
export interface Conflict {
  readonly streamId: string;
  /** The events of this device's commit. */
  readonly events: readonly EventBody[];
  readonly expectedVersion: ExpectedVersion;
  /** The stream's version at the edge when the commit was rejected; 0 if it was rejected for another reason than its version. */
  readonly actualVersion: number;
  /** `version-conflict`, or another code that says why the edge rejected the commit. */
  readonly code: ErrorCode;
  /** The command that the events were decided for; undefined if there is none. */
  readonly command: PendingCommand | undefined;
  /** The reason as a sentence. */
  readonly reason: string;
  /**
   * `refused`: the command's decider refused it, on this device or at the edge. `conflict`: others were first. `rejected`: the edge rejected
   * the commit for another reason.
   */
  readonly kind: "refused" | "conflict" | "rejected";
  /** What `decide` threw, if the commit was refused: the app's own sentence for the person. Else null. */
  readonly refusal: CommandRefusal | null;
  /**
   * Confirmed events of the stream after the version that this device expected, without the commit's own. If the stream has several
   * conflicts, the lowest of their versions counts. Empty if no exact version was expected.
   */
  readonly theirs: readonly ConfirmedEvent[];
  /**
   * Appends the events after all events that the stream has now; the next sync pushes them. If the commit has a command, it is decided again
   * on the stream, and its new events are appended instead.
   *
   * @throws InvalidRequestError if the decider refuses the command again; the conflict stays
   */
  rebase(): Promise<void>;
  /** Deletes the commit for good. */
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
        kind: kindOf(reason),
        refusal: reason.refusal ?? null,
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

function kindOf(reason: ParkReason): Conflict["kind"] {
  if (isRefusal(reason)) return "refused";
  return reason.code === "version-conflict" ? "conflict" : "rejected";
}

/** The exact version that the commit expected; infinite if it expected none. */
function believedVersion(entry: ParkedEntry): number {
  return exactVersion(entry.expectedVersion) ?? Number.POSITIVE_INFINITY;
}
