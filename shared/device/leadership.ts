/**
 * Which tab of a device syncs (the leader), and what a former leader may still write (nothing of sync).
 *
 *     lock granted, or the leader's beat stopped ──► next term ──► leads: every write of sync names its term
 *                                                                   │ the database has another term
 *                                                                   └──► fenced: the write is not done, the tab follows
 *
 * If a tab closes or crashes, the browser's lock elects another one at once. A frozen tab keeps its lock. Therefore the leader also
 * writes a beat to the database while others wait, and a tab that sees no change of the beat takes the lock. A leader that thaws finds
 * a later term than its own. The term is a fencing token, as in Kleppmann, "How to do distributed locking" (2016).
 *
 * Invariants (1 and 5 of docs/architecture.md): only the latest leader makes the writes of sync.
 */

/** What the device's database stores about its leader. */
export interface Lease {
  /** Raised with each new leader. */
  readonly term: number;
  /** Raised by the leader while other tabs wait. */
  readonly beat: number;
}

export const NO_LEASE: Lease = { term: 0, beat: 0 };

/** The lease of a new leader. */
export function nextTerm({ term }: Lease): Lease {
  return { term: term + 1, beat: 0 };
}

/** The same lease with the leader's next sign of life. */
export function nextBeat(lease: Lease): Lease {
  return { ...lease, beat: lease.beat + 1 };
}

/** Whether the leader of this term may write. @param lease as it is stored, read in the transaction that writes */
export function mayWrite(lease: Lease, term: number): boolean {
  return lease.term === term;
}

/** What a tab that follows has seen of the leader's lease. */
export interface Watch {
  readonly lease: Lease | undefined;
  /** How often in a row the lease did not change. */
  readonly still: number;
}

export const NOTHING_SEEN: Watch = { lease: undefined, still: 0 };

/** The watch after the tab has read the lease once more. */
export function look(watch: Watch, lease: Lease): Watch {
  const isSame = watch.lease?.term === lease.term && watch.lease.beat === lease.beat;
  return { lease, still: isSame ? watch.still + 1 : 0 };
}

/**
 * Milliseconds. A tab sends a call of `sync()` to the leader, and leads itself if no tab answers in this time. If the leader has heard the
 * call, the tab repeats it after this time: the leader may be lost before it answers.
 */
export const UNHEARD = 1_500;

/** Whether the leader has stopped. @param patience how often in a row its lease may be read without a change */
export function isAbandoned({ still }: Watch, patience: number): boolean {
  return still >= patience;
}
