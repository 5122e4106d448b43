/** When a snapshot is taken, and when one is believed. */

export interface SnapshotFacts {
  /** The version of the decider that folded it. */
  readonly deciderVersion: number;
  /** The stream's version up to which it is folded: all of it is confirmed. */
  readonly version: number;
}

/** Events that are folded in about the time that reading one snapshot more takes. */
const WORTH = 100;

/** @param from the version up to which there is a snapshot already */
export function isWorthTaking(version: number, from: number): boolean {
  return version - from >= WORTH;
}

/** A snapshot of another version of the decider is none, and neither is one of a stream that does not come so far. */
export function isUsable({ deciderVersion, version }: SnapshotFacts, decider: number, stream: number): boolean {
  return deciderVersion === decider && version <= stream;
}
