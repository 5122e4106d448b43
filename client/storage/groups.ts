/**
 * Pending commits as the device stores them: the commits that were appended together share a record, since a record costs
 * the same whatever is in it. Pure; `device-log.ts` reads and writes them.
 */
import type { CommandNote } from "../../shared/device/decider.ts";
import { lastVersionOf, type NewEntry, type PendingEntry } from "../../shared/device/outbox.ts";
import type { EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import { toVersion } from "../../shared/order.ts";
import type { StreamId } from "../../shared/stream-id.ts";

export interface Bundle {
  /** Given by the database, ascending; never given twice. */
  key?: number;
  /** The streams in it, each with its last version here: the entries of the index. */
  streams: [streamId: string, lastVersion: number][];
  commits: BundledCommit[];
}

/** A bundle as it was read. */
export type StoredBundle = Bundle & { key: number };

interface BundledCommit {
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
  command?: CommandNote | undefined;
}

/** Commits in a bundle at most: who reads one stream reads all of its bundles. */
const BUNDLE_COMMITS = 64;
/** Events in a bundle, unless a single commit has more. */
const BUNDLE_EVENTS = 128;

/** @param entries in the order in which they were made; their `seq` is yet to be given by the database */
export function toBundles(entries: readonly NewEntry[]): Bundle[] {
  const bundles: Bundle[] = [];
  let commits: BundledCommit[] = [];
  let events = 0;
  for (const entry of entries) {
    if (commits.length === BUNDLE_COMMITS || (commits.length > 0 && events + entry.events.length > BUNDLE_EVENTS)) {
      bundles.push(toBundle(commits));
      commits = [];
      events = 0;
    }
    commits.push(toBundledCommit(entry, commits.length));
    events += entry.events.length;
  }
  if (commits.length > 0) bundles.push(toBundle(commits));
  return bundles;
}

/**
 * The bundle after changes to some of its entries; undefined where none is left.
 *
 * @param changes by `seq`: the entry as it is now, or undefined where it leaves the outbox
 */
export function rebundle(bundle: StoredBundle, changes: ReadonlyMap<number, PendingEntry | undefined>): StoredBundle | undefined {
  const commits = bundle.commits.flatMap((commit) => {
    const seq = seqOf(bundle.key, commit.n);
    if (!changes.has(seq)) return [commit];
    const entry = changes.get(seq);
    return entry === undefined ? [] : [toBundledCommit(entry, commit.n)];
  });
  return commits.length === 0 ? undefined : { key: bundle.key, ...toBundle(commits) };
}

/** The entries of a bundle, in order. */
export function entriesOf({ key, commits }: StoredBundle, wanted: (streamId: string) => boolean = () => true): PendingEntry[] {
  return commits.filter((commit) => wanted(commit.streamId)).map((commit) => toEntry(commit, key));
}

/** The key of the bundle that an entry stands in. */
export function bundleKeyOf(seq: number): number {
  return Math.floor(seq / BUNDLE_COMMITS);
}

function seqOf(key: number, n: number): number {
  return key * BUNDLE_COMMITS + n;
}

function toEntry(commit: BundledCommit, key: number): PendingEntry {
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

function toBundledCommit(entry: NewEntry, n: number): BundledCommit {
  const { streamId, expectedVersion, firstVersion, confirmed, events, command } = entry;
  const text = JSON.stringify(events);
  return { n, streamId, expectedVersion, firstVersion, lastVersion: lastVersionOf(entry), confirmed, events: text, command };
}

function toBundle(commits: BundledCommit[]): Bundle {
  // A stream's later commits stand on later versions, so the last one of each stream is the one that remains.
  return { streams: [...new Map(commits.map(({ streamId, lastVersion }) => [streamId, lastVersion]))], commits };
}
