/**
 * Which tab of a device syncs, and what a tab may still write that once did.
 *
 *     lock granted, or the leader's beat stands still ──► next term ──► leads: every write of sync names its term
 *                                                                        │ another term stands in the database
 *                                                                        └──► fenced: the write is not done, the tab follows
 *
 * The browser's lock elects at once when a tab closes or crashes. A tab that is frozen keeps its lock, so a leader also
 * lets a beat be seen while others wait; who sees it stand still takes the lock. The one that thaws finds a later term than its
 * own: a fencing token, as in Kleppmann, "How to do distributed locking" (2016).
 *
 * Invariant (section 9 of the design, 1 and 5): what sync writes is written by the latest leader only.
 */

/** Stands in the device's database. */
export interface Lease {
  /** Raised with each new leader. */
  readonly term: number;
  /** Raised by the leader while other tabs wait. */
  readonly beat: number;
}

export const NO_LEASE: Lease = { term: 0, beat: 0 };

/** A new leader's lease. */
export function nextTerm({ term }: Lease): Lease {
  return { term: term + 1, beat: 0 };
}

/** The leader's sign of life. */
export function nextBeat(lease: Lease): Lease {
  return { ...lease, beat: lease.beat + 1 };
}

export function mayWrite(lease: Lease, term: number): boolean {
  return lease.term === term;
}

/** What a tab that follows has seen of the leader. */
export interface Watch {
  readonly lease: Lease | undefined;
  /** How often in a row it looked the same. */
  readonly still: number;
}

export const NOTHING_SEEN: Watch = { lease: undefined, still: 0 };

export function look(watch: Watch, lease: Lease): Watch {
  const isSame = watch.lease?.term === lease.term && watch.lease.beat === lease.beat;
  return { lease, still: isSame ? watch.still + 1 : 0 };
}

/** @param patience how many looks in a row a leader may stay still */
export function isAbandoned({ still }: Watch, patience: number): boolean {
  return still >= patience;
}
