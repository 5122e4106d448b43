/** When a snapshot is taken, and when it can be used. */

export interface SnapshotFacts {
  /** The version of the decider that folded it. */
  readonly deciderVersion: number;
  /** The stream's version up to which it is folded. All these events are confirmed. */
  readonly version: number;
}

/** How many events are folded in about the time that it takes to read one more snapshot. */
const WORTH = 100;

/** Whether a new snapshot at `version` saves time. @param from the version of the snapshot that exists already; 0 if there is none */
export function isWorthTaking(version: number, from: number): boolean {
  return version - from >= WORTH;
}

/**
 * Whether a snapshot can be used.
 *
 * @param decider the decider's version now: a snapshot of another version is not used
 * @param stream the stream's confirmed version now: a snapshot of a later version is not used
 */
export function isUsable({ deciderVersion, version }: SnapshotFacts, decider: number, stream: number): boolean {
  return deciderVersion === decider && version <= stream;
}
