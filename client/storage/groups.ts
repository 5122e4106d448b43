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
  /** In the order in which they were made. */
  commits: GroupedCommit[];
}

/** A group as it was read. */
export type StoredGroup = Group & { key: number };

/**
 * One text, so that a record with many of them is read at the cost of its bytes, and only the commits that are wanted are parsed:
 * its stream, its last version, its place in the group when the group was created, and the rest of it as JSON.
 *
 *     Permit-891 17 0 {"expectedVersion":16,"firstVersion":17,"confirmed":0,"events":[…]}
 *
 * A database of a version before 7 may still hold commits of the form before.
 */
type GroupedCommit = string | FormerCommit;

/** What the text of a commit holds as JSON. `events` are those that it was made with. */
interface CommitContent {
  readonly expectedVersion: ExpectedVersion;
  readonly firstVersion: number;
  readonly confirmed: number;
  /** The command that the events were decided for; undefined if there is none. */
  readonly command?: StoredCommand | undefined;
  readonly events: readonly EventBody[];
}

interface FormerCommit extends Omit<CommitContent, "events"> {
  readonly n: number;
  readonly streamId: StreamId;
  readonly lastVersion: number;
  readonly events: string;
}

/** A commit whose events are not parsed yet. */
interface Unparsed {
  readonly text: string;
  readonly streamId: StreamId;
  readonly lastVersion: number;
  readonly n: number;
}

/** The most commits in a group. To read one stream, its groups are read whole. */
export const GROUP_COMMITS = 64;
/** The most events in a group, unless a single commit has more. */
const GROUP_EVENTS = 16;

/**
 * Puts new entries into groups.
 *
 * @param entries in the order in which they were appended. They have no `seq` yet: it follows from the key that the database assigns
 */
export function toGroups(entries: readonly NewEntry[]): Group[] {
  const groups: Group[] = [];
  let commits: Unparsed[] = [];
  let events = 0;
  for (const entry of entries) {
    if (commits.length === GROUP_COMMITS || (commits.length > 0 && events + entry.events.length > GROUP_EVENTS)) {
      groups.push(toGroup(commits));
      commits = [];
      events = 0;
    }
    commits.push(unparsed(entry, commits.length));
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
  const commits = commitsOf(group).flatMap((commit) => {
    const seq = seqOf(group.key, commit.n);
    if (!changes.has(seq)) return [commit];
    const entry = changes.get(seq);
    return entry === undefined ? [] : [unparsed(entry, commit.n)];
  });
  return commits.length === 0 ? undefined : { key: group.key, ...toGroup(commits) };
}

/** The entries of a group, in order. */
export function entriesOf(group: StoredGroup, wanted: (streamId: string) => boolean = () => true): PendingEntry[] {
  const commits = commitsOf(group).filter(({ streamId }) => wanted(streamId));
  return commits.map((commit) => toEntry(commit, group.key));
}

/** The number of characters of the commits of a group. */
export function sizeOf(group: Group): number {
  return commitsOf(group).reduce((size, { text }) => size + text.length, 0);
}

/** The entries of a group after this one, in order, each with its number of characters. */
export function measuredEntriesOf(group: StoredGroup, after: number): { entry: PendingEntry; size: number }[] {
  const commits = commitsOf(group).filter(({ n }) => seqOf(group.key, n) > after);
  return commits.map((commit) => ({ entry: toEntry(commit, group.key), size: commit.text.length }));
}

/** When the first commit of a group was made, as its first event says. */
export function madeAt(group: StoredGroup): string | null {
  const [first] = commitsOf(group);
  return first === undefined ? null : (contentOf(first).events[0]?.occurredAt ?? null);
}

/** The key of the group that contains this entry. */
export function groupKeyOf(seq: number): number {
  return Math.floor(seq / GROUP_COMMITS);
}

export function seqOf(key: number, n: number): number {
  return key * GROUP_COMMITS + n;
}

function commitsOf({ commits }: Group): Unparsed[] {
  return commits.map(textOf).map((text) => {
    // No stream id has a space in it.
    const [streamId = "", lastVersion = "", n = ""] = text.split(" ", 3);
    return { text, streamId: streamId as StreamId, lastVersion: Number(lastVersion), n: Number(n) }; // only valid ids are stored
  });
}

function textOf(commit: GroupedCommit): string {
  if (typeof commit === "string") return commit;
  const { n, streamId, lastVersion, ...rest } = commit;
  return `${streamId} ${lastVersion} ${n} ${JSON.stringify({ ...rest, events: JSON.parse(rest.events) })}`;
}

function contentOf({ text }: Unparsed): CommitContent {
  return JSON.parse(text.slice(text.indexOf("{")));
}

function toEntry(commit: Unparsed, key: number): PendingEntry {
  const { expectedVersion, firstVersion, confirmed, events, command } = contentOf(commit);
  return {
    state: "pending",
    seq: seqOf(key, commit.n),
    streamId: commit.streamId,
    expectedVersion,
    events,
    firstVersion: toVersion(firstVersion),
    confirmed,
    command: toPendingCommand(command, events),
  };
}

function unparsed(entry: NewEntry, n: number): Unparsed {
  const { streamId, expectedVersion, events, firstVersion, confirmed, command } = entry;
  const content: CommitContent = { expectedVersion, firstVersion, confirmed, command, events };
  const lastVersion = lastVersionOf(entry);
  return { text: `${streamId} ${lastVersion} ${n} ${JSON.stringify(content)}`, streamId, lastVersion, n };
}

function toGroup(commits: readonly Unparsed[]): Group {
  // Later commits of a stream have later versions. The `Map` keeps each stream's last entry, and so its last version.
  const streams = new Map(commits.map(({ streamId, lastVersion }) => [streamId, lastVersion]));
  return { streams: [...streams], commits: commits.map(({ text }) => text) };
}
