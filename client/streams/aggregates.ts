/**
 * Folds a stream's state from its snapshot, if there is one, and the events after it.
 *
 *     snapshot at version 900 ──► confirmed 901 … 950 ──► state at 950 ──► pending 951, 952 ──► state
 *                                                           │ far enough from the snapshot
 *                                                           └──► the next snapshot, when the tab has nothing else to do
 *
 * A snapshot contains confirmed events only, and these never change. So it stays valid whatever happens to pending events.
 */

import { beginningOf, type Folding, fold } from "../../shared/decider/decider.ts";
import { isUsable, isWorthTaking, type SnapshotFacts } from "../../shared/decider/snapshot.ts";
import { isSameCopy } from "../../shared/device/same-copy.ts";
import { isObject } from "../../shared/json.ts";
import * as option from "../../shared/options.ts";
import { isOrdinal } from "../../shared/order.ts";
import type { StreamEvent } from "../event-store.ts";
import type { StoreInternals } from "../internals.ts";
import type { Snapshot } from "../storage/database.ts";
import type { ReadTx, WriteTx } from "../storage/device-log.ts";
import { replicaOf, streamEvents, versionOf, whole } from "../storage/device-log.ts";
import { IS_DEVELOPMENT } from "../tools/development.ts";
import { momentOf } from "../tools/moment.ts";
import { whenIdle } from "../tools/when-idle.ts";

export interface Aggregate<State> {
  readonly streamId: string;
  readonly state: State;
  /** The stream's version that the state is of; 0 if the stream does not exist. */
  readonly version: number;
  /** The number of folded events that are not confirmed yet. */
  readonly pending: number;
}

export interface FoldOptions {
  /**
   * Folds events up to this version, position or time of recording (ISO 8601), inclusive; all of them if it is behind the last one. Pending events have neither position nor time of
   * recording: they are folded only with `version`, or without `upTo`. Default: all events.
   */
  readonly upTo?: { readonly version: number } | { readonly position: number } | { readonly time: string };
}

export const FOLD_OPTIONS = {
  upTo: {
    what: "{ version }, { position } or { time }, with a whole number from 0 or a time",
    accepts: (value) =>
      isObject(value) && Object.keys(value).length === 1 && (ENDS.some((end) => isOrdinal(value[end])) || "time" in value),
  },
} satisfies option.OptionsOf<FoldOptions>;
const ENDS = ["version", "position"];

/** The state after the last confirmed event. */
export interface Base<State> {
  readonly state: State;
  readonly version: number;
  /** `resets` of the replica, which identifies the copy of the log that the state is of. */
  readonly resets: number;
}

export class Aggregates {
  readonly #internals: StoreInternals;

  constructor(internals: StoreInternals) {
    this.#internals = internals;
  }

  async read<State>(streamId: string, decider: Folding<State>, options: FoldOptions): Promise<Aggregate<State>> {
    const { upTo } = option.completeOptions(options, FOLD_OPTIONS);
    if (upTo === undefined) return (await this.readFrom(streamId, decider)).aggregate;
    const events = (await this.#events(streamId, 1)).filter(isUpTo(upTo));
    return {
      streamId,
      state: fold(decider, beginningOf(decider), events, IS_DEVELOPMENT),
      version: events.at(-1)?.version ?? 0,
      pending: events.filter(({ pending }) => pending).length,
    };
  }

  /**
   * @param known the confirmed base of the last read: only the events after it are read
   * @returns the state, its confirmed base, and the ids of the pending events, joined by commas
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
    const base = { state: fold(decider, from.state, confirmed, IS_DEVELOPMENT), version, resets: replica.resets };
    if (isWorthTaking(base.version, isKnown ? from.version : 0)) this.#take(streamId, decider, base);
    const state = fold(decider, base.state, pending, IS_DEVELOPMENT);
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

  /** Reads a base and the events after it in one transaction. A reset between two transactions would mix two copies of the log. */
  async #stored<State>(streamId: string, decider: Folding<State>, known: Base<State> | undefined) {
    const { database, read } = this.#internals;
    return database.run(async (db) => {
      const tx: ReadTx = db.transaction(["events", "snapshots", "meta"], "readonly");
      const replica = await replicaOf(tx);
      const isKept = known !== undefined && isSameCopy(known, replica);
      const kept = isKept ? known : await readSnapshot(tx, streamId, decider);
      const from = kept ?? { state: beginningOf(decider), version: 0 };
      const events = await streamEvents(tx, streamId, from.version + 1, Number.POSITIVE_INFINITY);
      return { from, events: events.map(read), replica, isKnown: kept !== undefined };
    });
  }

  /** Stores a snapshot when the tab is idle. Nothing waits for it or depends on it. */
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
          // Meanwhile another tab may have stored a later snapshot, or a reset may have discarded this copy of the log.
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
  // A decider of this name and version has folded it, so it has this type.
  return { state: snapshot.state as State, version: snapshot.version };
}

/** @throws InvalidRequestError if `upTo.time` is not ISO 8601 */
export function isUpTo(upTo: NonNullable<FoldOptions["upTo"]>): (event: StreamEvent) => boolean {
  if ("version" in upTo) return ({ version }) => version <= upTo.version;
  if ("position" in upTo) return ({ position }) => position !== null && position <= upTo.position;
  const time = momentOf(upTo.time, "upTo.time");
  return ({ recordedAt }) => recordedAt !== null && Date.parse(recordedAt) <= time;
}
