/** What is kept of a subscription on the device, and how its tabs find each other. */
import type { IDBPDatabase } from "idb";
import { assert } from "../../shared/assert.ts";
import { type History, NEW_HISTORY, type Scope } from "../../shared/history.ts";
import { NO_EVENTS } from "../../shared/mark.ts";
import { withScope } from "../../shared/scope.ts";
import { type Beginning, beginningOf, type Progress, startAt } from "../../shared/subscription.ts";
import type { Schema } from "../database.ts";
import { whole } from "../device-log.ts";
import { openChannel } from "../tabs.ts";
import type { Kit } from "./kit.ts";

/** An event that was refused too often. */
export interface SetAside {
  readonly id: string;
  readonly streamId: string;
  readonly version: number;
  /** Where it stood: a reset may bring it to another position. */
  readonly position: number;
  /** What its handler said last. */
  readonly reason: string;
  /** When, by the device's clock, ISO 8601. */
  readonly at: string;
}

export interface Facts {
  /** The device's copy of the log whose positions these are. */
  readonly resets: number;
  /** What the device followed when they were written. */
  readonly scope: Scope;
  /** The position behind which it began. */
  readonly since: number;
  /** A digest of the events that were dealt with since: by it another copy of the log is seen to hold the same (`withEvent`). */
  readonly dealtWith: string;
  /** Parts of the store in the order in which they are handed over: those that came later, up to where the feed stood, then the feed. */
  readonly parts: readonly Part[];
  /** What its handler said last; null where it took the event. */
  readonly reason: string | null;
  /** The device's clock, before which nothing is handed over. */
  readonly notBefore: number;
  readonly setAside: readonly SetAside[];
  /** Ids of events that were set aside and are to be handed over again. */
  readonly replay: readonly string[];
  /** How often somebody has asked for something: what is written by who did not know is not kept. */
  readonly asked: number;
}

export interface Part {
  readonly within: Scope;
  /** What of it was handed over before. */
  readonly without?: Scope;
  /** Null: the feed, which goes on. */
  readonly upTo: number | null;
  readonly progress: Progress;
}

export function begun({ resets, scope, position }: History, from: Beginning): Facts {
  const start = beginningOf(from, { since: position, head: position });
  return {
    resets,
    scope,
    since: start,
    dealtWith: NO_EVENTS,
    parts: [{ within: null, upTo: null, progress: startAt(start) }],
    reason: null,
    notBefore: 0,
    setAside: [],
    replay: [],
    asked: 0,
  };
}

/** The part that goes on for ever. */
export function feedOf({ parts }: Facts): Part {
  const feed = parts.at(-1);
  assert(feed !== undefined, "a subscription has a part that goes on for ever");
  return feed;
}

/** Whether the device is still fetching its new copy of the log: it holds less than was dealt with, and the edge more. */
export function isFetching(facts: Facts, { log, position, head }: History): boolean {
  return log === null || position < Math.min(feedOf(facts).progress.checkpoint, head);
}

/**
 * A subscription in a copy of the log that was fetched after a reset: it goes on where that holds what was dealt with, and nothing else that
 * was due; undefined where it can't.
 *
 * @param held the digest of its events that the new copy holds, within `scope`, behind `since` and up to the feed's checkpoint
 */
export function continuedIn(facts: Facts, { position, resets }: History, held: string): Facts | undefined {
  if (held !== facts.dealtWith) return undefined;
  const feed = feedOf(facts);
  const progress = { ...feed.progress, checkpoint: Math.min(feed.progress.checkpoint, position) };
  return { ...facts, resets, parts: [...facts.parts.slice(0, -1), { ...feed, progress }] };
}

/** What the device follows besides since then is handed over first, up to where the feed was handed over. */
export function partsWithin(facts: Facts, history: History): Facts {
  if (JSON.stringify(facts.scope) === JSON.stringify(history.scope)) return facts;
  const feed = feedOf(facts);
  const { fills } = withScope({ ...NEW_HISTORY, scope: facts.scope, position: feed.progress.checkpoint }, history.scope);
  const added = fills.map(({ within, upTo }): Part => ({ within, without: facts.scope, upTo, progress: startAt(0) }));
  return { ...facts, scope: history.scope, parts: [...facts.parts.slice(0, -1), ...added, feed] };
}

/** Whoever asks something of a subscription tells the tab that runs it; what is not heard is seen at the next change. */
export function askingChannel(kit: Kit, subscription: string): BroadcastChannel | undefined {
  return openChannel(lockOf(kit, subscription));
}

export function lockOf({ name }: Kit, subscription: string): string {
  return `headwater:${name}:subscription:${subscription}`;
}

export async function readFacts(db: IDBPDatabase<Schema>, name: string): Promise<Facts | undefined> {
  return db.transaction(["checkpoints"], "readonly").objectStore("checkpoints").get(name);
}

export async function changeFacts(db: IDBPDatabase<Schema>, name: string, change: (now: Facts | undefined) => Facts): Promise<Facts> {
  const tx = db.transaction(["checkpoints"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const facts = change(await tx.objectStore("checkpoints").get(name));
    await tx.objectStore("checkpoints").put(facts, name);
    return facts;
  });
}
