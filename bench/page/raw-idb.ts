/** IndexedDB without a library of events, by `idb`, in two shapes: a record for each event, and a record for the events of one write. */
import { deleteDB, type IDBPDatabase, openDB } from "idb";
import type { Contender, OpenedLog } from "./contender.ts";
import { type GivenEvent, recordOf } from "./data.ts";

const DURABILITIES = ["strict", "relaxed"] as const;
const PAGE = 1_000;

export const RAW_IDB: readonly Contender[] = DURABILITIES.flatMap((durability) => [
  {
    name: `raw idb, a record for each event, ${durability}`,
    open: async (database: string) => eventRecords(await openEventRecords(database), durability),
    remove: (database: string) => deleteDB(database),
  },
  {
    name: `raw idb, a record for a hundred events, ${durability}`,
    open: async (database: string) => groupRecords(await openGroupRecords(database), durability),
    remove: (database: string) => deleteDB(database),
  },
]);

export function openEventRecords(database: string): Promise<IDBPDatabase> {
  return openDB(database, 1, {
    upgrade(db) {
      db.createObjectStore("events", { keyPath: ["streamId", "version"] }).createIndex("position", "position");
    },
  });
}

/** A record has up to a hundred events: as many as are written at once. It is found by its last position, and by each stream that it has. */
export function openGroupRecords(database: string): Promise<IDBPDatabase> {
  return openDB(database, 1, {
    upgrade(db) {
      db.createObjectStore("groups", { keyPath: "position" }).createIndex("streams", "streams", { multiEntry: true });
    },
  });
}

export async function putAll(
  db: IDBPDatabase,
  store: string,
  records: readonly object[],
  durability: IDBTransactionDurability,
): Promise<void> {
  const tx = db.transaction(store, "readwrite", { durability });
  await Promise.all([...records.map((record) => tx.store.put(record)), tx.done]);
}

/** The key of a stream's events. */
export function ofStream(streamId: string): IDBKeyRange {
  return IDBKeyRange.bound([streamId, 1], [streamId, Number.POSITIVE_INFINITY]);
}

function eventRecords(db: IDBPDatabase, durability: IDBTransactionDurability): OpenedLog {
  const put = (events: readonly GivenEvent[]) => putAll(db, "events", events.map(recordOf), durability);
  return {
    append: (event) => put([event]),
    commit: put,
    importAll: put,
    readStream: async (streamId) => (await db.getAll("events", ofStream(streamId))).length,
    replay: () => replayEventRecords(db),
    close: async () => db.close(),
  };
}

/** In pages, so that not all is in memory at once. */
export async function replayEventRecords(db: IDBPDatabase): Promise<number> {
  let count = 0;
  for (let after = 0; ; ) {
    const page: GivenEvent[] = await db.getAllFromIndex("events", "position", IDBKeyRange.lowerBound(after, true), PAGE);
    count += page.length;
    if (page.length < PAGE) return count;
    after = page.at(-1)?.position ?? after;
  }
}

interface Group {
  readonly position: number;
  readonly streams: readonly string[];
  readonly events: readonly GivenEvent[];
}

export function groupOf(events: readonly GivenEvent[]): object {
  const streams = [...new Set(events.map(({ streamId }) => streamId))];
  return { position: events.at(-1)?.position, streams, events: events.map(recordOf) };
}

export async function replayGroupRecords(db: IDBPDatabase): Promise<number> {
  let count = 0;
  for (let after = 0; ; ) {
    const groups: Group[] = await db.getAll("groups", IDBKeyRange.lowerBound(after, true), 10);
    for (const { events } of groups) count += events.length;
    if (groups.length < 10) return count;
    after = groups.at(-1)?.position ?? after;
  }
}

export async function readStreamOfGroups(db: IDBPDatabase, streamId: string): Promise<number> {
  const groups: Group[] = await db.getAllFromIndex("groups", "streams", streamId);
  return groups.flatMap(({ events }) => events.filter((event) => event.streamId === streamId)).length;
}

function groupRecords(db: IDBPDatabase, durability: IDBTransactionDurability): OpenedLog {
  const put = (events: readonly GivenEvent[]) => putAll(db, "groups", [groupOf(events)], durability);
  return {
    append: (event) => put([event]),
    commit: put,
    importAll: put,
    readStream: (streamId) => readStreamOfGroups(db, streamId),
    replay: () => replayGroupRecords(db),
    close: async () => db.close(),
  };
}
