/**
 * Reads and changes the outbox, some groups at a time. A page reads the groups with the entries that it confirms, and a push those that it needs:
 * `docs/decisions/0041-a-long-outbox.md`. The file is loaded later; `device-log.ts`, in the first chunk, counts pending commits.
 */
import type { IDBPDatabase } from "idb";
import { assert } from "../../shared/assert.ts";
import type { PendingEntry } from "../../shared/device/outbox.ts";
import { changedSince, NO_CHANGES, type OutboxChanges, withChange } from "../../shared/device/outbox-changes.ts";
import type { Schema } from "./database.ts";
import { byStream, GROUPS_AT_ONCE, isGroup, LAST_NUMBER, numbersOf, outboxFrom, type ReadTx, type WriteTx } from "./device-log.ts";
import { entriesOf, type Group, groupKeyOf, measuredEntriesOf, regroup, type StoredGroup, sizeOf } from "./groups.ts";
import { between } from "./idb.ts";
import type { Segment } from "./segments.ts";

/** The most groups that one request reads. */
const MOST_GROUPS_AT_ONCE = 1024;
/** Groups that are written in one task. Making them anew costs more than reading them, and a page of the feed has changed up to a thousand. */
const WRITTEN_AT_ONCE = 8;
/** Characters of events that one request should read. Much more of them would hold up the page. */
const READ_SIZE = 256 * 1024;

/** The groups of the outbox from this key on, inclusive, in order: some with each request, few if they are large. */
async function* slicesFrom(tx: ReadTx, from: number): AsyncGenerator<readonly StoredGroup[], void, undefined> {
  let key = from;
  let count = GROUPS_AT_ONCE;
  for (;;) {
    const groups = (await tx.objectStore("events").getAll(outboxFrom(tx, key), count)).filter(isGroup);
    yield groups;
    const last = groups.at(-1);
    if (last === undefined || groups.length < count) return;
    key = last.key + 1;
    const size = groups.reduce((sum, group) => sum + sizeOf(group), 0);
    count = Math.min(MOST_GROUPS_AT_ONCE, Math.ceil((count * READ_SIZE) / Math.max(size, 1)));
  }
}

/** How much of the outbox is read for the next pushes. */
export interface ReadBounds {
  readonly commits: number;
  /** Characters of the commits, as they are stored. */
  readonly size: number;
}

/** The outbox's next entries after this one, in order, with their sizes: as many as reach one of the bounds, and all of their groups. */
export async function entriesAfter(
  db: IDBPDatabase<Schema>,
  after: number,
  bounds: ReadBounds,
): Promise<{ entry: PendingEntry; size: number }[]> {
  const tx: ReadTx = db.transaction(["events"], "readonly");
  const entries: { entry: PendingEntry; size: number }[] = [];
  let size = 0;
  for await (const groups of slicesFrom(tx, groupKeyOf(after))) {
    for (const group of groups) {
      const some = measuredEntriesOf(group, after);
      size += sizeOf(group);
      entries.push(...some);
    }
    if (entries.length >= bounds.commits || size >= bounds.size) break;
  }
  return entries;
}

/** All groups of the outbox, in order. */
export function allGroups(tx: ReadTx): Promise<StoredGroup[]> {
  return groupsAfter(tx, -1);
}

async function groupsAfter(tx: ReadTx, key: number): Promise<StoredGroup[]> {
  const all: StoredGroup[] = [];
  for await (const groups of slicesFrom(tx, key + 1)) all.push(...groups);
  return all;
}

async function firstGroups(tx: ReadTx) {
  return tx.objectStore("events").getAll(outboxFrom(tx, 0), GROUPS_AT_ONCE);
}

async function changesOf(tx: ReadTx): Promise<OutboxChanges> {
  return { ...NO_CHANGES, ...(await tx.objectStore("meta").get("outbox")) };
}

/** What somebody has seen of the outbox of one copy of the log. */
export interface OutboxSeen {
  /** The greatest key of a group; -1 if there was none. */
  readonly lastKey: number;
  readonly changes: number;
}

export const NOTHING_SEEN: OutboxSeen = { lastKey: -1, changes: 0 };

export interface GroupsSince extends OutboxSeen {
  /** Those that were changed, without commits if they are gone; then those that are new, in order. */
  readonly groups: readonly StoredGroup[];
}

/** @returns undefined if it is not remembered which groups were changed since: all have to be read */
export async function groupsSince(tx: ReadTx, seen: OutboxSeen): Promise<GroupsSince | undefined> {
  const { lastKey } = seen;
  const now = await changesOf(tx);
  const keys = lastKey < 0 ? [] : changedSince(now, seen.changes)?.filter((key) => key <= lastKey);
  if (keys === undefined) return undefined;
  const read = async (key: number) => (await tx.objectStore("events").get(key)) ?? { key, streams: [], commits: [] };
  const changed = (await Promise.all(keys.map(read))).filter(isGroup);
  const added = await groupsAfter(tx, lastKey);
  return { groups: [...changed, ...added], lastKey: added.at(-1)?.key ?? lastKey, changes: now.changes };
}

/** Some of a stream's pending entries. */
export interface EntryRange {
  readonly streamId: string;
  /** Versions, inclusive: entries whose last event has one of them. Default of `to`: no limit. */
  readonly from: number;
  readonly to?: number;
  /** Whether the entry after these is wanted too. */
  readonly andNext?: boolean;
}

/** Groups of the outbox that were read to be changed. A changed group is written back whole. */
export class OutboxPart {
  readonly #tx: ReadTx;
  /** By their keys. */
  readonly #groups = new Map<number, StoredGroup>();
  /** The keys of each stream's groups that were read for it: all that it has, or the first ones. */
  readonly #keys = new Map<string, readonly number[]>();
  /** By stream, once they were asked for. */
  readonly #entries = new Map<string, readonly PendingEntry[]>();
  /** By `seq`: the changed entry, or undefined if it leaves the outbox. */
  readonly #changes = new Map<number, PendingEntry | undefined>();
  /** True if all groups of the outbox were read. */
  #isWhole = false;
  /** Which groups the last writes changed. */
  readonly #before: OutboxChanges;

  private constructor(tx: ReadTx, before: OutboxChanges) {
    this.#tx = tx;
    this.#before = before;
  }

  /** Reads an outbox of fewer than 32 groups whole, in one request. Of a longer one, `read` reads what is needed. */
  static async open(tx: ReadTx): Promise<OutboxPart> {
    const [before, first] = await Promise.all([changesOf(tx), firstGroups(tx)]);
    const part = new OutboxPart(tx, before);
    part.#add(first);
    if (first.length < GROUPS_AT_ONCE) part.#indexAll();
    return part;
  }

  /** Reads the whole outbox. */
  static async readAll(tx: ReadTx): Promise<OutboxPart> {
    const part = new OutboxPart(tx, await changesOf(tx));
    for await (const groups of slicesFrom(tx, 0)) part.#add(groups);
    part.#indexAll();
    return part;
  }

  /** True if all pending entries of all streams were read. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Reads the groups with these entries, in place of what was read of the same streams before. */
  async read(ranges: readonly EntryRange[]): Promise<void> {
    if (this.#isWhole) return;
    for (const some of chunks(ranges, STREAMS_AT_ONCE)) {
      const found = await Promise.all(some.map((range) => this.#keysOf(range)));
      for (const [i, { streamId }] of some.entries()) {
        this.#keys.set(streamId, found[i] ?? []);
        this.#entries.delete(streamId);
      }
    }
    const wanted = new Set(ranges.flatMap(({ streamId }) => this.#keys.get(streamId) ?? []));
    const unread = [...wanted].filter((key) => !this.#groups.has(key));
    const events = this.#tx.objectStore("events");
    for (const keys of chunks(unread, GROUPS_AT_ONCE)) this.#add(await Promise.all(keys.map((key) => events.get(key))));
  }

  /** Whether a stream has pending entries. To be called before events of the page are written: pending events come after confirmed ones. */
  async hasEntries(streamId: string): Promise<boolean> {
    const last = await byStream(this.#tx).openKeyCursor(numbersOf(this.#tx, streamId, 0), "prev");
    return typeof last?.primaryKey === "number";
  }

  /** The streams that have pending entries in the groups that were read. */
  streamIds(): Set<string> {
    return new Set([...this.#groups.values()].flatMap(({ streams }) => streams.map(([streamId]) => streamId)));
  }

  /** The pending entries of a stream that was read, in the order of `seq`: all of them, or the first ones. */
  entries(streamId: string): readonly PendingEntry[] {
    const known = this.#entries.get(streamId);
    if (known !== undefined) return known;
    const isOurs = (id: string) => id === streamId;
    const entries = (this.#keys.get(streamId) ?? []).flatMap((key) => {
      const group = this.#groups.get(key);
      return group === undefined ? [] : entriesOf(group, isOurs);
    });
    this.#entries.set(streamId, entries);
    return entries;
  }

  replace(entry: PendingEntry): void {
    this.#changes.set(entry.seq, entry);
  }

  remove(seq: number): void {
    this.#changes.set(seq, undefined);
  }

  /** Writes the changed groups, some at a time, and which they are. */
  async write(tx: WriteTx): Promise<void> {
    const events = tx.objectStore("events");
    const changed = [...new Set([...this.#changes.keys()].map(groupKeyOf))];
    if (changed.length > 0) await tx.objectStore("meta").put(withChange(this.#before, changed), "outbox");
    for (const keys of chunks(changed, WRITTEN_AT_ONCE)) {
      const writes = keys.map((key) => {
        const group = this.#groups.get(key);
        assert(group !== undefined, "the group of a changed entry was read before");
        const left = regroup(group, this.#changes);
        return left === undefined ? events.delete(key) : events.put(left);
      });
      await Promise.all<unknown>(writes);
    }
  }

  #add(records: readonly (Segment | Group | undefined)[]): void {
    for (const record of records) if (record !== undefined && isGroup(record)) this.#groups.set(record.key, record);
  }

  #indexAll(): void {
    this.#isWhole = true;
    const pairs = [...this.#groups.values()].flatMap(({ key, streams }) => streams.map(([streamId]) => ({ streamId, key })));
    for (const [streamId, found] of Map.groupBy(pairs, ({ streamId }) => streamId))
      this.#keys.set(
        streamId,
        found.map(({ key }) => key),
      );
  }

  /** The keys of the groups with these entries, in order. */
  async #keysOf({ streamId, from, to = LAST_NUMBER, andNext = false }: EntryRange): Promise<number[]> {
    const within = (first: number, last: number, most?: number) =>
      byStream(this.#tx).getAllKeys(between(this.#tx, [streamId, first], [streamId, last]), most);
    const keys = await Promise.all(andNext ? [within(from, to), within(to + 1, LAST_NUMBER, 1)] : [within(from, to)]);
    // Segments with events of these versions have other keys.
    return keys
      .flat()
      .filter((key) => typeof key === "number")
      .sort((a, b) => a - b);
  }
}

/** Streams whose keys are looked up before the next ones. */
const STREAMS_AT_ONCE = 256;

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
