/**
 * A stream's state: its snapshot, where there is one, and the events behind it.
 *
 *     snapshot at version 900 ──► confirmed 901 … 950 ──► state at 950 ──► pending 951, 952 ──► state
 *                                                           │ far enough from the snapshot
 *                                                           └──► the next snapshot, when the tab has nothing else to do
 *
 * A snapshot holds confirmed events alone, which never change: whatever becomes of pending ones, there is nothing in it to take back.
 */

import { type Folding, fold } from "../../shared/device/decider.ts";
import { isSameCopy } from "../../shared/device/same-copy.ts";
import { isUsable, isWorthTaking, type SnapshotFacts } from "../../shared/device/snapshot.ts";
import type { StreamEvent } from "../event-store.ts";
import type { StoreInternals } from "../internals.ts";
import type { Snapshot } from "../storage/database.ts";
import type { ReadTx, WriteTx } from "../storage/device-log.ts";
import { replicaOf, streamEvents, versionOf, whole } from "../storage/device-log.ts";
import { momentOf } from "../tools/moment.ts";
import { whenIdle } from "../tools/when-idle.ts";

export interface Aggregate<State> {
  readonly streamId: string;
  readonly state: State;
  /** The stream's version that the state is of; 0 where it does not exist. */
  readonly version: number;
  /** How many of the events are not confirmed yet. */
  readonly pending: number;
}

export interface FoldOptions {
  /** Events up to this version, position or time of recording, inclusive; pending ones by version alone. Default: all. */
  readonly upTo?: { readonly version: number } | { readonly position: number } | { readonly time: string };
}

/** Where confirmed events end, and what stands there. */
export interface Base<State> {
  readonly state: State;
  readonly version: number;
  /** The copy of the log that they are of. */
  readonly resets: number;
}

export class Aggregates {
  readonly #internals: StoreInternals;

  constructor(internals: StoreInternals) {
    this.#internals = internals;
  }

  async read<State>(streamId: string, decider: Folding<State>, { upTo }: FoldOptions): Promise<Aggregate<State>> {
    if (upTo === undefined) return (await this.readFrom(streamId, decider)).aggregate;
    const events = (await this.#events(streamId, 1)).filter(isUpTo(upTo));
    return {
      streamId,
      state: fold(decider, decider.initialState, events),
      version: events.at(-1)?.version ?? 0,
      pending: events.filter(({ pending }) => pending).length,
    };
  }

  /**
   * @param known what was confirmed when it was last read: the events behind it are enough
   * @returns the state, what of it is confirmed, and the ids of what is not
   */
  async readFrom<State>(
    streamId: string,
    decider: Folding<State>,
    known?: Base<State>,
  ): Promise<{ aggregate: Aggregate<State>; base: Base<State>; unconfirmed: string }> {
    const { from, events, replica, isKnown } = await this.#stored(streamId, decider, known);
    const confirmed = events.filter(({ pending }) => !pending);
    const pending = events.slice(confirmed.length);
    const version = confirmed.at(-1)?.version ?? from.version;
    const base = { state: fold(decider, from.state, confirmed), version, resets: replica.resets };
    if (isWorthTaking(base.version, isKnown ? from.version : 0)) this.#take(streamId, decider, base);
    const state = fold(decider, base.state, pending);
    const aggregate = { streamId, state, version: base.version + pending.length, pending: pending.length };
    return { aggregate, base, unconfirmed: pending.map(({ id }) => id).join() };
  }

  async #events(streamId: string, from: number): Promise<StreamEvent[]> {
    const { database, read } = this.#internals;
    const events = await database.run((db) => {
      const tx: ReadTx = db.transaction(["events"], "readonly");
      return streamEvents(tx, streamId, from, Number.POSITIVE_INFINITY);
    });
    return events.map(read);
  }

  /** A snapshot and the events behind it, in one transaction: a reset between two would put two histories together. */
  async #stored<State>(streamId: string, decider: Folding<State>, known: Base<State> | undefined) {
    const { database, read } = this.#internals;
    return database.run(async (db) => {
      const tx: ReadTx = db.transaction(["events", "snapshots", "meta"], "readonly");
      const replica = await replicaOf(tx);
      const isKept = known !== undefined && isSameCopy(known, replica);
      const kept = isKept ? known : await readSnapshot(tx, streamId, decider);
      const from = kept ?? { state: decider.initialState, version: 0 };
      const events = await streamEvents(tx, streamId, from.version + 1, Number.POSITIVE_INFINITY);
      return { from, events: events.map(read), replica, isKnown: kept !== undefined };
    });
  }

  /** Nobody waits for it, and nothing depends on it. */
  #take<State>(streamId: string, decider: Folding<State>, { state, version, resets }: Base<State>): void {
    const { database, ending } = this.#internals;
    const snapshot: Snapshot & SnapshotFacts = { decider: decider.name, streamId, deciderVersion: decider.version, version, state };
    whenIdle(ending, async () => {
      await database.run((db) => {
        const tx: WriteTx = db.transaction(["events", "snapshots", "meta"], "readwrite", { durability: "relaxed" });
        return whole(tx, async () => {
          const [before, streamVersion, replica] = await Promise.all([
            tx.objectStore("snapshots").get([decider.name, streamId]),
            versionOf(tx, streamId),
            replicaOf(tx),
          ]);
          // Meanwhile another tab may have taken a later one, and a reset may have let go of the history.
          if (!isSameCopy({ resets }, replica)) return;
          const isLater = before !== undefined && isUsable(before, decider.version, streamVersion) && before.version >= version;
          if (isLater || !isUsable(snapshot, decider.version, streamVersion)) return;
          await tx.objectStore("snapshots").put(snapshot);
        });
      });
    });
  }
}

async function readSnapshot<State>(
  tx: ReadTx,
  streamId: string,
  decider: Folding<State>,
): Promise<Omit<Base<State>, "resets"> | undefined> {
  const [snapshot, streamVersion] = await Promise.all([tx.objectStore("snapshots").get([decider.name, streamId]), versionOf(tx, streamId)]);
  if (snapshot === undefined || !isUsable(snapshot, decider.version, streamVersion)) return undefined;
  // Under this name and version this decider has folded it.
  return { state: snapshot.state as State, version: snapshot.version };
}

/** @throws InvalidRequestError for a time that is none */
export function isUpTo(upTo: NonNullable<FoldOptions["upTo"]>): (event: StreamEvent) => boolean {
  if ("version" in upTo) return ({ version }) => version <= upTo.version;
  if ("position" in upTo) return ({ position }) => position !== null && position <= upTo.position;
  const time = momentOf(upTo.time, "upTo.time");
  return ({ recordedAt }) => recordedAt !== null && Date.parse(recordedAt) <= time;
}
