/** Syncing from an edge, and what is read of a synced store: confirmed, pending and both; all events, in a first and in a second pass. */
import { deleteDB, type IDBPDatabase, openDB } from "idb";
import { deleteStore, openStore, type Store } from "../../client/index.ts";
import { interleaved, type Outcome, timed } from "../measure.ts";
import { chunks, type GivenEvent, newEvent } from "./data.ts";
import { replay } from "./headwater.ts";
import {
  groupOf,
  ofStream,
  openEventRecords,
  openGroupRecords,
  putAll,
  readStreamOfGroups,
  replayEventRecords,
  replayGroupRecords,
} from "./raw-idb.ts";

export interface SyncOutcome extends Outcome {
  readonly title: string;
  readonly count: number;
  readonly unit: string;
}

const PAGE = 1_000;
const HUNDRED = 100;
const LENGTHS = { shortest: 8, longest: 25 };
const RAW = { events: "raw idb, a record for each event", groups: "raw idb, a record for a hundred events" };

let names = 0;
const newName = () => `sync-${++names}`;

/** @param url a store at the edge that holds the file */
export async function measureFirstSync(file: string, url: string, rounds: number): Promise<SyncOutcome> {
  let count = 0;
  /** A new database for each round. Opening it is not timed, as that of the store is not. */
  const inDatabase = async (open: (name: string) => Promise<IDBPDatabase>, work: (db: IDBPDatabase) => Promise<void>) => {
    const name = newName();
    const db = await open(name);
    const time = await timed(() => work(db));
    db.close();
    await deleteDB(name);
    return time;
  };
  const fetchPages = async (onPage: (page: Page) => Promise<void> | void) => {
    count = 0;
    for (let after = 0; ; ) {
      const page: Page = await (await fetch(`${url}/feed?limit=${PAGE}&after=${after}`)).json();
      await onPage(page);
      count += page.events.length;
      after = page.position;
      if (page.position >= page.head) return;
    }
  };
  const contestants = [
    {
      name: "Headwater",
      round: async () => {
        const name = newName();
        const store = await openStore({ name, persist: false, sync: { url, automatic: false } });
        const time = await timed(() => store.sync());
        await store.close();
        await deleteStore(name);
        return time;
      },
    },
    { name: "fetching and parsing the same pages, storing nothing", round: () => timed(() => fetchPages(() => undefined)) },
    {
      name: "fetching, parsing and writing a record for each page, by raw idb, relaxed",
      round: () => inDatabase(openPages, (db) => fetchPages((page) => putAll(db, "pages", [page], "relaxed"))),
    },
    {
      name: "fetching, parsing and writing a record for each event, by raw idb, relaxed",
      round: () => inDatabase(openEventRecords, (db) => fetchPages(({ events }) => putAll(db, "events", events, "relaxed"))),
    },
  ];
  const outcome = await interleaved(contestants, rounds);
  return { title: `first sync of ${file}, ${count.toLocaleString("en")} events`, count, unit: "event", ...outcome };
}

interface Page {
  readonly events: readonly GivenEvent[];
  readonly position: number;
  readonly head: number;
}

function openPages(name: string): Promise<IDBPDatabase> {
  return openDB(name, 1, {
    upgrade(db) {
      db.createObjectStore("pages", { keyPath: "position" });
    },
  });
}

/** @param url a store at the edge that holds the file */
export async function measureSyncedReads(file: string, url: string, rounds: number): Promise<SyncOutcome[]> {
  const sync = { url, automatic: false } as const;
  const stores = { confirmed: newName(), pending: newName(), mixed: newName() };
  const databases = { events: newName(), groups: newName() };
  const confirmed = await openStore({ name: stores.confirmed, persist: false, sync });
  await confirmed.sync();
  const events: GivenEvent[] = [];
  for await (const event of confirmed.readAll()) events.push({ ...event, metadata: { actor: String(event.metadata["actor"]) } });
  const streams = [...Map.groupBy(events, ({ streamId }) => streamId)].filter(
    ([, { length }]) => length >= LENGTHS.shortest && length <= LENGTHS.longest,
  );
  const pending = await openStore({ name: stores.pending, persist: false, durability: "relaxed", sync });
  for (const some of chunks(streams, HUNDRED)) {
    await Promise.all(some.map(([streamId, of]) => pending.appendToStream(streamId, of.map(newEvent))));
  }
  const mixed = await openStore({ name: stores.mixed, persist: false, durability: "relaxed", sync });
  await mixed.sync();
  for (const some of chunks(streams, HUNDRED)) {
    await Promise.all(some.map(([streamId, of]) => mixed.appendToStream(streamId, of.slice(0, 1).map(newEvent))));
  }
  const raw = await openEventRecords(databases.events);
  const groups = await openGroupRecords(databases.groups);
  for (const some of chunks(events, HUNDRED)) {
    await putAll(raw, "events", some, "relaxed");
    await putAll(groups, "groups", [groupOf(some)], "relaxed");
  }
  const readAllStreams = (read: (streamId: string) => Promise<unknown>) =>
    timed(async () => {
      for (const [streamId] of streams) await read(streamId);
    });
  const ofStore = (store: Store) => () => readAllStreams((streamId) => store.readStream(streamId));
  const reads = await interleaved(
    [
      { name: "Headwater, confirmed events", round: ofStore(confirmed) },
      { name: "Headwater, pending events", round: ofStore(pending) },
      { name: "Headwater, confirmed events and a pending one", round: ofStore(mixed) },
      { name: RAW.events, round: () => readAllStreams((streamId) => raw.getAll("events", ofStream(streamId))) },
      { name: RAW.groups, round: () => readAllStreams((streamId) => readStreamOfGroups(groups, streamId)) },
    ],
    rounds,
  );
  for (const store of [confirmed, pending, mixed]) await store.close();
  raw.close();
  groups.close();
  const replays = await measureReplays(stores.confirmed, databases, sync, rounds);
  for (const name of Object.values(stores)) await deleteStore(name);
  for (const name of Object.values(databases)) await deleteDB(name);
  const inAll = `of ${file}, synced, ${events.length.toLocaleString("en")} events`;
  return [
    { title: `read a stream of ${LENGTHS.shortest} to ${LENGTHS.longest} events ${inAll}`, count: streams.length, unit: "read", ...reads },
    { title: `replay ${inAll}, first pass after opening`, count: events.length, unit: "event", ...replays.first },
    { title: `replay ${inAll}, second pass`, count: events.length, unit: "event", ...replays.second },
  ];
}

/** Each round opens anew, so that nothing is remembered in a first pass. */
async function measureReplays(
  synced: string,
  databases: { readonly events: string; readonly groups: string },
  sync: { readonly url: string; readonly automatic: false },
  rounds: number,
): Promise<{ readonly first: Outcome; readonly second: Outcome }> {
  const second = new Map<string, number[]>();
  const twice = async (name: string, pass: () => Promise<unknown>) => {
    const time = await timed(pass);
    second.set(name, [...(second.get(name) ?? []), await timed(pass)]);
    return time;
  };
  const replayed = <T extends { close(): unknown }>(name: string, open: () => Promise<T>, pass: (opened: T) => Promise<unknown>) => ({
    name,
    round: async () => {
      const opened = await open();
      const time = await twice(name, () => pass(opened));
      await opened.close();
      return time;
    },
  });
  const first = await interleaved(
    [
      replayed("Headwater", () => openStore({ name: synced, persist: false, sync }), replay),
      replayed(RAW.events, () => openEventRecords(databases.events), replayEventRecords),
      replayed(RAW.groups, () => openGroupRecords(databases.groups), replayGroupRecords),
    ],
    rounds,
  );
  // The first round is not counted.
  const sides = first.sides.map(({ name }) => ({ name, times: (second.get(name) ?? []).slice(1) }));
  return { first, second: { sides, failures: first.failures } };
}
