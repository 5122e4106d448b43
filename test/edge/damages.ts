/** What storage may do to a store: damages of the files of an edge that does not run. */
import { join } from "node:path";
import { changeText, copyObject, deleteObject, type StoreFiles, withDatabase } from "../support/edge-files.ts";

/** A store's files, and the older copies of some of them. */
export interface Damaged {
  readonly files: StoreFiles;
  /** A folder with copies of the log and of A-1, as they were at half of the events. */
  readonly copies: string;
}

export interface Damage {
  readonly name: string;
  readonly apply: (damaged: Damaged) => void | Promise<void>;
  /** The command that mends it. */
  readonly mend: Command;
  /** What everybody says; what is left out is as in a store in good order. */
  readonly told: Partial<Told>;
  /** Nobody uses the streams before it is mended: they would send the log what it lacks, and positions would change. */
  readonly isLogAlone?: boolean;
}

/** How many events or positions there are, or the code of the error. */
type Found = number | string;

export interface Told {
  readonly feed: Found;
  readonly streams: Found;
  /** Of an append that expects another version. */
  readonly append: Found;
  readonly oldDevice: Found;
  readonly newDevice: Found;
  readonly subscription: string;
  /** Streams that have diverged, subscriptions that are ahead, and the head of a history that the log has lost. */
  readonly health: readonly (number | null | undefined)[];
  /** The first finding of `headwater verify`; null if it finds nothing. */
  readonly verify: string | null;
}

/** Each store has so many. */
export const EVENTS = 60;

export const NOTHING: Told = {
  feed: 60,
  streams: 60,
  append: "version-conflict",
  oldDevice: 60,
  newDevice: 60,
  subscription: "running",
  health: [0, 0, null],
  verify: null,
};

const LOG = (places: string): Partial<Told> => ({
  feed: "storage-damaged",
  newDevice: "storage-damaged",
  verify: `The log can't be read at ${places}: its storage is damaged there.`,
});
const STREAM = (version: number): Partial<Told> => ({
  streams: "storage-damaged",
  append: "storage-damaged",
  verify: `A-1 can't be read at version ${version} in the stream: its storage is damaged there.`,
});
const BEHIND = (streams: Found, verify: string): Partial<Told> => ({ streams, append: "stream-diverged", health: [1, 0, null], verify });

/** The log ends earlier than before. */
const LOST = (head: number): Partial<Told> => ({
  feed: head,
  oldDevice: "position-ahead",
  newDevice: head,
  subscription: "stopped",
  health: [0, 1, EVENTS],
  verify: "The store reports 1 subscriptions that have handled more than the log has: the log was put back to an older copy.",
});

export type Command = "reconcile" | "reconcile --against" | "restore";

const streamFile = ({ files }: Damaged, streamId = "A-1") => files.streams.get(streamId) ?? "";

function onLog(query: string) {
  return ({ files }: Damaged): void => {
    if (withDatabase(files.log, (db) => Number(db.prepare(query).run().changes)) === 0) throw new Error(`${query} changed nothing`);
  };
}

/** Deletes the run of a stream that ends at a version. */
function withoutRun(version: number, streamId = "A-1") {
  return (damaged: Damaged): void => {
    const key = String(version).padStart(16, "0");
    const changes = withDatabase(streamFile(damaged, streamId), (db) =>
      Number(db.prepare("DELETE FROM _cf_KV WHERE key = ?").run(key).changes),
    );
    if (changes !== 1) throw new Error(`${streamId} has no run that ends at ${version}`);
  };
}

/** Changes a letter in the data of events, by their numbers: `kept-7.` becomes `kfpt-7.`. */
function flipped(side: "stream" | "log", numbers: readonly number[], to = "kfpt") {
  return (damaged: Damaged): void => {
    for (const n of numbers) {
      const file = side === "log" ? damaged.files.log : streamFile(damaged);
      if (changeText(file, side, `kept-${n}.`, `${to}-${n}.`) === 0) throw new Error(`no row has event ${n}`);
    }
  };
}

/**
 * The store has events 1 to 60, of which every third is of B-1 and all others are of A-1, each in a row of its own. So event 10 is A-1@7 at
 * position 10.
 */
export const DAMAGES: readonly Damage[] = [
  { name: "log: a letter", apply: flipped("log", [10]), mend: "reconcile", told: LOG("position 10") },
  {
    name: "log: a letter in each of ten rows",
    apply: flipped("log", [10, 11, 13, 14, 16, 17, 19, 20, 22, 23]),
    mend: "reconcile",
    told: LOG("position 10"),
  },
  {
    name: "log: a row cut",
    apply: onLog("UPDATE runs SET events = substr(events, 1, 40) WHERE last_position = 10"),
    mend: "reconcile",
    told: LOG("position 10"),
  },
  { name: "log: a row missing", apply: onLog("DELETE FROM runs WHERE last_position = 10"), mend: "reconcile", told: LOG("position 10") },
  {
    name: "log: ten rows missing",
    apply: onLog("DELETE FROM runs WHERE last_position BETWEEN 10 AND 19"),
    mend: "reconcile",
    told: LOG("positions 10 to 19"),
  },
  {
    name: "log: a mark",
    apply: onLog("UPDATE runs SET mark = '0123456789abcdef' WHERE last_position = 10"),
    mend: "reconcile",
    told: { verify: "The log's mark is wrong at position 10: headwater reconcile repairs it." },
  },
  {
    name: "log: a stream's id",
    apply: onLog("UPDATE runs SET stream_id = 'A-2' WHERE last_position = 10"),
    mend: "reconcile",
    told: LOG("position 10"),
  },
  { name: "log: the last row", apply: flipped("log", [60]), mend: "reconcile", told: LOG("position 60") },
  {
    name: "log: put back",
    apply: ({ files, copies }) => copyObject(join(copies, "log"), files.log),
    mend: "restore",
    told: LOST(30),
    isLogAlone: true,
  },
  {
    name: "log: the last row missing",
    apply: onLog("DELETE FROM runs WHERE last_position = 60"),
    mend: "reconcile",
    told: LOST(59),
    isLogAlone: true,
  },
  {
    name: "log: deleted",
    apply: ({ files }) => deleteObject(files.log),
    mend: "restore",
    told: { ...LOST(0), oldDevice: "log-mismatch", verify: "A-1 has versions 1 to 40, and the log has lost the whole stream." },
    isLogAlone: true,
  },
  {
    name: "log and index: deleted",
    apply: async ({ files }) => {
      await deleteObject(files.log);
      await deleteObject(files.index ?? "");
    },
    mend: "restore",
    told: { ...LOST(0), oldDevice: "log-mismatch", health: [0, 1, null] },
    isLogAlone: true,
  },
  { name: "stream: a letter", apply: flipped("stream", [10]), mend: "reconcile", told: STREAM(7) },
  {
    name: "stream: a letter in each of ten runs",
    apply: flipped("stream", [10, 11, 13, 14, 16, 17, 19, 20, 22, 23]),
    mend: "reconcile",
    told: STREAM(7),
  },
  { name: "stream: a run missing", apply: withoutRun(7), mend: "reconcile", told: STREAM(7) },
  { name: "stream: the first run missing", apply: withoutRun(1), mend: "reconcile", told: STREAM(1) },
  {
    name: "stream: the last run missing",
    apply: withoutRun(40),
    mend: "reconcile",
    told: BEHIND(59, "A-1@40 (#59) is in the log and not in the stream."),
  },
  {
    name: "stream: put back",
    apply: (damaged) => copyObject(join(damaged.copies, "stream"), streamFile(damaged)),
    mend: "reconcile",
    told: BEHIND(40, "A-1@21 (#31) is in the log and not in the stream, and 19 later versions."),
  },
  {
    name: "stream: deleted",
    apply: (damaged) => deleteObject(streamFile(damaged)),
    mend: "reconcile",
    told: BEHIND("stream-diverged", "A-1 is in the feed, but the stream has no events."),
  },
  {
    name: "both: a letter of the same event",
    apply: (damaged) => {
      flipped("log", [10])(damaged);
      flipped("stream", [10], "kgpt")(damaged);
    },
    mend: "reconcile --against",
    told: { ...STREAM(7), ...LOG("position 10") },
  },
  {
    name: "both: different events",
    apply: (damaged) => {
      flipped("log", [10])(damaged);
      flipped("stream", [14])(damaged);
    },
    mend: "reconcile",
    told: { ...STREAM(10), ...LOG("position 10") },
  },
  {
    name: "both: put back to the same moment",
    apply: async (damaged) => {
      await copyObject(join(damaged.copies, "log"), damaged.files.log);
      await copyObject(join(damaged.copies, "stream"), streamFile(damaged));
      await copyObject(join(damaged.copies, "other"), streamFile(damaged, "B-1"));
    },
    mend: "restore",
    told: { ...LOST(30), streams: 30 },
  },
  {
    name: "both: the last event missing",
    apply: (damaged) => {
      onLog("DELETE FROM runs WHERE last_position = 60")(damaged);
      withoutRun(20, "B-1")(damaged);
    },
    mend: "restore",
    told: { ...LOST(59), streams: 59 },
  },
];
