/** Headwater as a side: by its public interface, as an app uses it. */
import { deleteStore, openStore, type Store, type StoreOptions } from "../../client/index.ts";
import type { Contender, OpenedLog } from "./contender.ts";
import { type GivenEvent, newEvent, recordOf, runsOf } from "./data.ts";
import { feedInPage } from "./feed-in-page.ts";

/** Nothing listens there: the store is offline, and all that it records is pending. */
const OFFLINE = { url: "http://127.0.0.1:9/v1/offline" };

const DURABILITIES = ["strict", "relaxed"] as const;

export const HEADWATER: readonly Contender[] = DURABILITIES.flatMap((durability) => [
  contenderOf(`Headwater, synced and offline, ${durability}`, { durability, sync: OFFLINE }, false),
  contenderOf(`Headwater, local, ${durability}`, { durability }, true),
]);

/** A store whose events came from the feed, as most of a synced store's have. */
export const HEADWATER_SYNCED: Contender = {
  ...contenderOf("Headwater, synced", { sync: feedInPage(0, () => notThere(0)).sync }, true),
  fill: async (database, events) => {
    const { sync } = feedInPage(events.length, (position) => recordOf(eventAt(events, position)));
    const store = await openStore({ name: database, sync });
    await store.sync();
    await store.close();
  },
};

export const HEADWATER_LOCAL: Contender = contenderOf("Headwater, local", {}, true);

function eventAt(events: readonly GivenEvent[], position: number): GivenEvent {
  const event = events[position - 1];
  return event ?? notThere(position);
}

function notThere(position: number): never {
  throw new Error(`There is no event at ${position}`);
}

function contenderOf(name: string, options: Omit<StoreOptions, "name">, hasPositions: boolean): Contender {
  return {
    name,
    open: async (database) => opened(await openStore({ persist: false, ...options, name: database }), hasPositions),
    remove: (database) => deleteStore(database),
  };
}

function opened(store: Store, hasPositions: boolean): OpenedLog {
  return {
    append: (event) => commit(store, [event]),
    commit: (events) => commit(store, events),
    importAll: (events) => Promise.all(runsOf(events).map((run) => commit(store, run))),
    readStream: async (streamId) => (await store.readStream(streamId)).events.length,
    ...(hasPositions ? { replay: () => replay(store) } : {}),
    close: () => store.close(),
  };
}

function commit(store: Store, events: readonly GivenEvent[]): Promise<unknown> {
  const [first] = events;
  if (first === undefined) throw new Error("A commit has events.");
  const expectedVersion = first.version === 1 ? "no-stream" : first.version - 1;
  return store.appendToStream(first.streamId, events.map(newEvent), { expectedVersion });
}

export async function replay(store: Store): Promise<number> {
  let count = 0;
  for await (const _ of store.readAll()) count++;
  return count;
}
