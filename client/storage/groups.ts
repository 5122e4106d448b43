/**
 * Pending commits as the device stores them: the commits that were appended together share a record, since a record costs
 * the same whatever is in it. Pure; `device-log.ts` reads and writes them.
 */
import type { PendingCommand } from "../../shared/device/decider.ts";
import { lastVersionOf, type NewEntry, type PendingEntry } from "../../shared/device/outbox.ts";
import type { EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import { toVersion } from "../../shared/order.ts";
import type { StreamId } from "../../shared/stream-id.ts";

export interface Group {
  /** Given by the database, ascending; never given twice. */
  key?: number;
  /** The streams in it, each with its last version here: the entries of the index. */
  streams: [streamId: string, lastVersion: number][];
  commits: GroupedCommit[];
}

/** A bundle as it was read. */
export type StoredGroup = Group & { key: number };

interface GroupedCommit {
  /** Its place in the bundle when that was made. */
  n: number;
  streamId: StreamId;
  expectedVersion: ExpectedVersion;
  firstVersion: number;
  lastVersion: number;
  confirmed: number;
  /** The events as a JSON array. Text is written and read faster than a structured clone. */
  events: string;
  /** Left out where the events were not decided for one. */
  command?: PendingCommand | undefined;
}

/** Commits in a bundle at most: who reads one stream reads all of its bundles. */
const GROUP_COMMITS = 64;
/** Events in a bundle, unless a single commit has more. */
const GROUP_EVENTS = 128;

/** @param entries in the order in which they were made; their `seq` is yet to be given by the database */
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
 * The bundle after changes to some of its entries; undefined where none is left.
 *
 * @param changes by `seq`: the entry as it is now, or undefined where it leaves the outbox
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

/** The entries of a bundle, in order. */
export function entriesOf({ key, commits }: StoredGroup, wanted: (streamId: string) => boolean = () => true): PendingEntry[] {
  return commits.filter((commit) => wanted(commit.streamId)).map((commit) => toEntry(commit, key));
}

/** The key of the bundle that an entry stands in. */
export function groupKeyOf(seq: number): number {
  return Math.floor(seq / GROUP_COMMITS);
}

function seqOf(key: number, n: number): number {
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
    command,
  };
}

function toGroupedCommit(entry: NewEntry, n: number): GroupedCommit {
  const { streamId, expectedVersion, firstVersion, confirmed, events, command } = entry;
  const text = JSON.stringify(events);
  return { n, streamId, expectedVersion, firstVersion, lastVersion: lastVersionOf(entry), confirmed, events: text, command };
}

function toGroup(commits: GroupedCommit[]): Group {
  // A stream's later commits stand on later versions, so the last one of each stream is the one that remains.
  return { streams: [...new Map(commits.map(({ streamId, lastVersion }) => [streamId, lastVersion]))], commits };
}
