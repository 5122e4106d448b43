/**
 * Which groups of the outbox the last writes changed. It is written with them, so that a tab which keeps something of the outbox in memory
 * reads those groups alone, whoever changed them. New groups are not listed: their keys are greater than all before.
 */

/** As it is stored. */
export interface OutboxChanges {
  /** How many writes changed groups, in all. */
  readonly changes: number;
  /** The keys of the groups that each of the last ones changed or deleted, the latest last. */
  readonly changedGroups: readonly (readonly number[])[];
}

export const NO_CHANGES: OutboxChanges = { changes: 0, changedGroups: [] };

/** So many writes are remembered. */
const MOST_WRITES = 8;
/** A write of more groups is not remembered: whoever missed it reads all groups. */
const MOST_GROUPS = 1024;

export function withChange({ changes, changedGroups }: OutboxChanges, keys: readonly number[]): OutboxChanges {
  return { changes: changes + 1, changedGroups: keys.length > MOST_GROUPS ? [] : [...changedGroups, keys].slice(-MOST_WRITES) };
}

/** The groups that were changed since there were so many writes; undefined if that is not remembered. */
export function changedSince({ changes, changedGroups }: OutboxChanges, known: number): readonly number[] | undefined {
  const missed = changes - known;
  return missed < 0 || missed > changedGroups.length ? undefined : changedGroups.slice(changedGroups.length - missed).flat();
}
