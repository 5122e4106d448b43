/**
 * How the device stores pending commits: commits that were appended together share a record, the group, because a record costs the same
 * whatever is in it. The functions are pure; `device-log.ts` reads and writes the records.
 */
import { type StoredCommand, toPendingCommand } from "../../shared/decider/command.ts";
import { lastVersionOf, type NewEntry, type PendingEntry } from "../../shared/device/outbox.ts";
import type { EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import { toVersion } from "../../shared/order.ts";
import type { StreamId } from "../../shared/stream-id.ts";

export interface Group {
  /** Assigned by the database, ascending, and never twice. */
  key?: number;
  /** The streams of this group, each with its last version in it: the entries of the index `streams`. */
  streams: [streamId: string, lastVersion: number][];
  commits: GroupedCommit[];
}

/** A group as it was read. */
export type StoredGroup = Group & { key: number };

interface GroupedCommit {
  /** The commit's place in the group when the group was created. */
  n: number;
  streamId: StreamId;
  expectedVersion: ExpectedVersion;
  firstVersion: number;
  lastVersion: number;
  confirmed: number;
  /** The events as a JSON array. IndexedDB writes and reads text faster than a structured clone. */
  events: string;
  /** The command that the events were decided for; undefined if there is none. */
  command?: StoredCommand | undefined;
}

/** The most commits in a group. To read one stream, its groups are read whole. */
export const GROUP_COMMITS = 64;
/** The most events in a group, unless a single commit has more. */
const GROUP_EVENTS = 128;

/**
 * Puts new entries into groups.
 *
 * @param entries in the order in which they were appended. They have no `seq` yet: it follows from the key that the database assigns
 */
export function toGroups(entries: readonly NewEntry[]): Group[] {
  const groups: Group[] = [];
  let commits: GroupedCommit[] = [];
  let events = 0;
  for (const entry of entries) {
    if (commits.length === GROUP_COMMITS || (commits.length > 0 && events + entry.events.length > GROUP_EVENTS)) {
      groups.push(toGroup(commits));
      commits = [];
      events = 0;
    }
    commits.push(toGroupedCommit(entry, commits.length));
    events += entry.events.length;
  }
  if (commits.length > 0) groups.push(toGroup(commits));
  return groups;
}

/**
 * The group after changes to some of its entries; undefined if no entry is left.
 *
 * @param changes by `seq`: the changed entry, or undefined if it leaves the outbox
 */
export function regroup(group: StoredGroup, changes: ReadonlyMap<number, PendingEntry | undefined>): StoredGroup | undefined {
  const commits = group.commits.flatMap((commit) => {
    const seq = seqOf(group.key, commit.n);
    if (!changes.has(seq)) return [commit];
    const entry = changes.get(seq);
    return entry === undefined ? [] : [toGroupedCommit(entry, commit.n)];
  });
  return commits.length === 0 ? undefined : { key: group.key, ...toGroup(commits) };
}

/** The entries of a group, in order. */
export function entriesOf({ key, commits }: StoredGroup, wanted: (streamId: string) => boolean = () => true): PendingEntry[] {
  return commits.filter((commit) => wanted(commit.streamId)).map((commit) => toEntry(commit, key));
}

/** The number of characters of the events of a group, as JSON. */
export function sizeOf({ commits }: Group): number {
  return commits.reduce((size, { events }) => size + events.length, 0);
}

/** The entries of a group after this one, in order, with the number of characters of each one's events as JSON. */
export function measuredEntriesOf({ key, commits }: StoredGroup, after: number): { entry: PendingEntry; size: number }[] {
  return commits.filter(({ n }) => seqOf(key, n) > after).map((commit) => ({ entry: toEntry(commit, key), size: commit.events.length }));
}

/** The key of the group that contains this entry. */
export function groupKeyOf(seq: number): number {
  return Math.floor(seq / GROUP_COMMITS);
}

export function seqOf(key: number, n: number): number {
  return key * GROUP_COMMITS + n;
}

function toEntry(commit: GroupedCommit, key: number): PendingEntry {
  const { n, streamId, expectedVersion, firstVersion, confirmed, events, command } = commit;
  const bodies: EventBody[] = JSON.parse(events);
  return {
    state: "pending",
    seq: seqOf(key, n),
    streamId,
    expectedVersion,
    events: bodies,
    firstVersion: toVersion(firstVersion),
    confirmed,
    command: toPendingCommand(command, bodies),
  };
}

function toGroupedCommit(entry: NewEntry, n: number): GroupedCommit {
  const { streamId, expectedVersion, firstVersion, confirmed, events, command } = entry;
  const text = JSON.stringify(events);
  return { n, streamId, expectedVersion, firstVersion, lastVersion: lastVersionOf(entry), confirmed, events: text, command };
}

function toGroup(commits: GroupedCommit[]): Group {
  // Later commits of a stream have later versions. The `Map` keeps each stream's last entry, and so its last version.
  return { streams: [...new Map(commits.map(({ streamId, lastVersion }) => [streamId, lastVersion]))], commits };
}
