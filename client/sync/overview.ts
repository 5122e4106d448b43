/**
 * What the device holds, counted for `status` and read for `conflicts()`, and the listeners that are notified when it changes.
 *
 * Appends and pages change the counts at once. Everything else is counted again from the database, since another tab may have changed it.
 */
import { lossesFor, totalLoss } from "../../shared/device/loss.ts";
import type { Replica } from "../../shared/device/replica.ts";
import type { Conflict } from "../conflicts/conflicts.ts";
import { type Database, unlessStorage } from "../storage/database.ts";
import { readOverview } from "../storage/device-log.ts";
import { coalesced } from "../tools/coalesced.ts";
import type { Status, StatusBoard } from "./status.ts";

export interface OverviewOptions {
  readonly database: Database;
  readonly board: StatusBoard;
  /** The store is closed, or a newer version has upgraded its database. */
  readonly ending: AbortSignal;
  /** Reads the parked commits; undefined while the code for that can't be loaded. */
  readonly readConflicts: () => Promise<readonly Conflict[] | undefined>;
  /** Called with the replica each time it was read. */
  readonly onReplica: (replica: Replica) => void;
}

export class Overview {
  readonly #options: OverviewOptions;
  readonly #listeners = new Set<() => void>();
  #conflicts: readonly Conflict[] = [];

  /** Counts everything again. Calls during a run share the next one. */
  readonly refresh = coalesced(() => this.#count());

  constructor(options: OverviewOptions) {
    this.#options = options;
  }

  /** Oldest first. A new array after each change. */
  get conflicts(): readonly Conflict[] {
    return this.#conflicts;
  }

  /** Calls `listener` after each change of what the device holds, by any tab. @returns a function that ends it */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** In the background nobody waits for it: a failure of the storage is reported to the next caller that needs the storage. */
  async refreshQuietly(): Promise<void> {
    if (!this.#options.ending.aborted) await this.refresh().catch(unlessStorage);
  }

  /**
   * This tab has written something.
   *
   * @param commits how many commits the outbox has more than before; negative if it has fewer
   * @param replica as it is now; undefined if it did not change
   */
  written(commits: number, replica: Replica | undefined, isParkedChanged: boolean): void {
    const { board, database } = this.#options;
    const { pending } = board.current;
    this.#notify();
    // What is shown until a database is counted is of the one before it, and can't be added to.
    const after = database.tally.isCounted ? Math.max(0, pending + commits) : pending;
    board.update({ pending: after, ...(replica && progressOf(replica)) });
    if (isParkedChanged) void this.refreshQuietly();
  }

  /**
   * What is published was read in one transaction, and nothing is awaited between the two. So what this tab writes meanwhile is published
   * later, and what it has written before was published earlier.
   */
  async #count(): Promise<void> {
    const { database, board, readConflicts, onReplica } = this.#options;
    let counted = await database.run(readOverview);
    let conflicts: readonly Conflict[] = [];
    if (counted.parked > 0) {
      conflicts = (await readConflicts()) ?? this.#conflicts;
      counted = await database.run(readOverview);
    }
    const { replica, identity, pending, parked, since, streamIds } = counted;
    const { tally, owner } = database;
    this.#conflicts = conflicts;
    tally.learn(identity);
    const times = [since, ...conflicts.map(({ events }) => events[0]?.occurredAt)].filter((time) => typeof time === "string");
    tally.recount({ since: times.sort()[0] ?? null, streamIds: [...streamIds, ...conflicts.map(({ streamId }) => streamId)] });
    board.update({ pending, conflicts: parked, lost: totalLoss(lossesFor(tally.losses, owner.person)), ...progressOf(replica) });
    onReplica(replica);
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

function progressOf({ log, position, head }: Replica): Pick<Status, "cursor" | "head"> {
  return { cursor: log === null ? null : { log, position }, head };
}
