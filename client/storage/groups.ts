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

/** What can be told of a commit without parsing its events. */
interface Heading {
  readonly streamId: StreamId;
  readonly lastVersion: number;
  readonly n: number;
  /** Where the JSON begins in the text. */
  readonly start: number;
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
  let commits: string[] = [];
  let events = 0;
  for (const entry of entries) {
    if (commits.length === GROUP_COMMITS || (commits.length > 0 && events + entry.events.length > GROUP_EVENTS)) {
      groups.push(toGroup(commits));
      commits = [];
      events = 0;
    }
    commits.push(toText(entry, commits.length));
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
    const text = textOf(commit);
    const { n } = headingOf(text);
    const seq = seqOf(group.key, n);
    if (!changes.has(seq)) return [text];
    const entry = changes.get(seq);
    return entry === undefined ? [] : [toText(entry, n)];
  });
  return commits.length === 0 ? undefined : { key: group.key, ...toGroup(commits) };
}

/** The entries of a group, in order. */
export function entriesOf({ key, commits }: StoredGroup, wanted: (streamId: string) => boolean = () => true): PendingEntry[] {
  return commits.flatMap((commit) => {
    const text = textOf(commit);
    const heading = headingOf(text);
    return wanted(heading.streamId) ? [toEntry(text, heading, key)] : [];
  });
}

/** The number of characters of the commits of a group. */
export function sizeOf({ commits }: Group): number {
  return commits.reduce((size, commit) => size + textOf(commit).length, 0);
}

/** The entries of a group after this one, in order, each with its number of characters. */
export function measuredEntriesOf({ key, commits }: StoredGroup, after: number): { entry: PendingEntry; size: number }[] {
  return commits.flatMap((commit) => {
    const text = textOf(commit);
    const heading = headingOf(text);
    return seqOf(key, heading.n) > after ? [{ entry: toEntry(text, heading, key), size: text.length }] : [];
  });
}

/** When the first commit of a group was made, as its first event says. */
export function madeAt({ commits: [first] }: StoredGroup): string | null {
  if (first === undefined) return null;
  const text = textOf(first);
  return contentOf(text, headingOf(text)).events[0]?.occurredAt ?? null;
}

/** The key of the group that contains this entry. */
export function groupKeyOf(seq: number): number {
  return Math.floor(seq / GROUP_COMMITS);
}

export function seqOf(key: number, n: number): number {
  return key * GROUP_COMMITS + n;
}

function headingOf(text: string): Heading {
  // No stream id has a space in it.
  const [streamId = "", lastVersion = "", n = ""] = text.split(" ", 3);
  const start = streamId.length + lastVersion.length + n.length + 3;
  return { streamId: streamId as StreamId, lastVersion: Number(lastVersion), n: Number(n), start }; // only valid ids are stored
}

function contentOf(text: string, { start }: Heading): CommitContent {
  return JSON.parse(text.slice(start));
}

function toEntry(text: string, heading: Heading, key: number): PendingEntry {
  const { expectedVersion, firstVersion, confirmed, events, command } = contentOf(text, heading);
  return {
    state: "pending",
    seq: seqOf(key, heading.n),
    streamId: heading.streamId,
    expectedVersion,
    events,
    firstVersion: toVersion(firstVersion),
    confirmed,
    command: toPendingCommand(command, events),
  };
}

function toText(entry: NewEntry, n: number): string {
  const { streamId, expectedVersion, events, firstVersion, confirmed, command } = entry;
  const content: CommitContent = { expectedVersion, firstVersion, confirmed, command, events };
  return `${streamId} ${lastVersionOf(entry)} ${n} ${JSON.stringify(content)}`;
}

function textOf(commit: GroupedCommit): string {
  if (typeof commit === "string") return commit;
  const { n, streamId, lastVersion, ...rest } = commit;
  return `${streamId} ${lastVersion} ${n} ${JSON.stringify({ ...rest, events: JSON.parse(rest.events) })}`;
}

function toGroup(commits: string[]): Group {
  // Later commits of a stream have later versions. The `Map` keeps each stream's last entry, and so its last version.
  const streams = new Map(commits.map(headingOf).map(({ streamId, lastVersion }) => [streamId, lastVersion]));
  return { streams: [...streams], commits };
}
