/**
 * The measurements in the browser. The baseline, raw IndexedDB with `idb`, writes with the durability that the store uses: strict for
 * appends, relaxed for events that the edge has too.
 */
import { type IDBPDatabase, openDB } from "idb";
import { openStore, type Store } from "../client/index.ts";
import { measureFeedPages } from "./feed-pages.ts";
import { compare, type Measurement, timed } from "./measure.ts";

export { type LiveTimes, measureLive } from "./live.ts";
export { type ModelTimes, measureModel } from "./model.ts";
export { measureOutbox, type OutboxTimes } from "./outbox.ts";
export { measureRows, type RowTimes } from "./row-times.ts";

interface Line {
  readonly stream: string;
  readonly type: string;
  readonly time: string;
  readonly actor: string;
  readonly data: object;
}

interface RawEvent {
  readonly streamId: string;
  readonly version: number;
  readonly position: number;
}

let names = 0;
const newName = () => `bench-${++names}`;

/** One record for each event. */
function openRaw(name = newName()): Promise<IDBPDatabase> {
  return openDB(name, 1, {
    upgrade(db) {
      db.createObjectStore("events", { keyPath: ["streamId", "version"] }).createIndex("position", "position");
    },
  });
}

/** One record for each run of events of one stream. */
function openRuns(name = newName()): Promise<IDBPDatabase> {
  return openDB(name, 1, {
    upgrade(db) {
      db.createObjectStore("runs", { keyPath: ["streamId", "lastVersion"] }).createIndex("position", "position");
    },
  });
}

/** A synced store that stays offline, so that appends are pending. */
function openDevice(name = newName()): Promise<Store> {
  return openStore({ name, sync: { url: "http://127.0.0.1:9/v1/offline" } });
}

function rawEvent(streamId: string, version: number, position: number, line: Line) {
  const { type, data, time, actor } = line;
  return {
    id: crypto.randomUUID(),
    streamId,
    version,
    position,
    type,
    schemaVersion: 1,
    data,
    metadata: { actor },
    occurredAt: time,
    recordedAt: time,
    actor: null,
  };
}

function newEvent({ type, data, actor, time }: Line) {
  return { type, data, metadata: { actor }, occurredAt: time };
}

async function putAll(db: IDBPDatabase, events: readonly object[], durability: IDBTransactionDurability, store = "events"): Promise<void> {
  const tx = db.transaction(store, "readwrite", { durability });
  await Promise.all([...events.map((event) => tx.store.put(event)), tx.done]);
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The lines as pages of the feed. */
export function measurePages(lines: readonly Line[]): Promise<Measurement> {
  return measureFeedPages(numbered(lines));
}

export async function measureAppends(given: readonly Line[]): Promise<Measurement[]> {
  const lines = given.map((line) => ({ ...line, time: new Date(line.time).toISOString() }));
  const device = await openDevice();
  const raw = await openRaw();
  const results: Measurement[] = [];
  let version = 0;
  let streams = 0;

  results.push(
    await compare(
      { name: "append, one at a time", baseline: "raw idb, a record and a strict transaction each", count: 200, unit: "appends" },
      () => {
        const streamId = `One-${++streams}`;
        return timed(async () => {
          for (const [i, line] of lines.slice(0, 200).entries())
            await device.appendToStream(streamId, [newEvent(line)], { expectedVersion: i });
        });
      },
      () =>
        timed(async () => {
          for (const line of lines.slice(0, 200)) await putAll(raw, [rawEvent("One-1", ++version, version, line)], "strict");
        }),
    ),
  );

  for (const spread of [500, 10]) {
    results.push(
      await compare(
        {
          name: `500 appends at once, to ${spread} streams`,
          baseline: "raw idb, a record and a strict transaction each, at once",
          count: 500,
          unit: "appends",
        },
        () => {
          const round = ++streams;
          return timed(() =>
            Promise.all(lines.slice(0, 500).map((line, i) => device.appendToStream(`Many${round}-${i % spread}`, [newEvent(line)]))),
          );
        },
        () =>
          timed(() =>
            Promise.all(lines.slice(0, 500).map((line) => putAll(raw, [rawEvent("Many-1", ++version, version, line)], "strict"))),
          ),
      ),
    );
  }

  results.push(
    await compare(
      {
        name: "import, 50 commits of 100 events",
        baseline: "raw idb, a record each, a strict transaction for 100",
        count: 5000,
        unit: "events",
      },
      () => {
        const streamId = `Import-${++streams}`;
        return timed(async () => {
          for (const [i, batch] of chunks(lines.slice(0, 5000), 100).entries())
            await device.appendToStream(streamId, batch.map(newEvent), { expectedVersion: i * 100 });
        });
      },
      () =>
        timed(async () => {
          for (const batch of chunks(lines.slice(0, 5000), 100))
            await putAll(
              raw,
              batch.map((line) => rawEvent("Import-1", ++version, version, line)),
              "strict",
            );
        }),
      // A round takes a tenth of a second, so one slow flush changes it a lot: more rounds.
      15,
    ),
  );

  const importPermits = {
    ours: async () => {
      const store = await openDevice();
      const time = await timed(() => importLines(store, lines));
      await store.close();
      return time;
    },
    perEvent: async () => {
      const db = await openRaw();
      const time = await timed(async () => {
        for (const batch of chunks(numbered(lines), 100)) await putAll(db, batch, "strict");
      });
      db.close();
      return time;
    },
    perRun: async () => {
      const db = await openRuns();
      const time = await timed(async () => {
        for (const batch of chunks(numbered(lines), 100)) await putAll(db, runsOf(batch), "strict", "runs");
      });
      db.close();
      return time;
    },
  };
  const facts = { name: "import of permits, 100 lines at a time, each run a commit", count: lines.length, unit: "events" };
  results.push(
    await compare(
      { ...facts, baseline: "raw idb, a record each, a strict transaction for 100" },
      importPermits.ours,
      importPermits.perEvent,
      3,
    ),
  );
  results.push(
    await compare(
      { ...facts, baseline: "raw idb, a record for each run, a strict transaction for 100" },
      importPermits.ours,
      importPermits.perRun,
      3,
    ),
  );

  const long = await openDevice();
  const longRaw = await openRaw();
  for (const [i, batch] of chunks(lines.slice(0, 1000), 100).entries())
    await long.appendToStream("Long-1", batch.map(newEvent), { expectedVersion: i * 100 });
  await putAll(
    longRaw,
    lines.slice(0, 1000).map((line, i) => rawEvent("Long-1", i + 1, i + 1, line)),
    "relaxed",
  );
  results.push(
    await compare(
      {
        name: "read a stream of 1,000 events, appended 100 at a time",
        baseline: "raw idb, getAll of a record each",
        count: 20,
        unit: "reads",
      },
      () =>
        timed(async () => {
          for (let i = 0; i < 20; i++) await long.readStream("Long-1");
        }),
      () =>
        timed(async () => {
          for (let i = 0; i < 20; i++)
            await longRaw.getAll("events", IDBKeyRange.bound(["Long-1", 1], ["Long-1", Number.POSITIVE_INFINITY]));
        }),
    ),
  );
  return results;
}

async function importLines(store: Store, lines: readonly Line[]): Promise<void> {
  const versions = new Map<string, number>();
  for (const batch of chunks(lines, 100)) {
    const appends: Promise<unknown>[] = [];
    for (let start = 0; start < batch.length; ) {
      const streamId = batch[start]?.stream ?? "";
      let end = start;
      while (batch[end]?.stream === streamId) end++;
      const version = versions.get(streamId) ?? 0;
      versions.set(streamId, version + end - start);
      appends.push(
        store.appendToStream(streamId, batch.slice(start, end).map(newEvent), { expectedVersion: version === 0 ? "no-stream" : version }),
      );
      start = end;
    }
    await Promise.all(appends);
  }
}

function numbered(lines: readonly Line[]) {
  const versions = new Map<string, number>();
  return lines.map((line, i) => {
    const version = (versions.get(line.stream) ?? 0) + 1;
    versions.set(line.stream, version);
    return rawEvent(line.stream, version, i + 1, line);
  });
}

function runsOf(events: readonly RawEvent[]): object[] {
  const runs: { streamId: string; lastVersion: number; position: number; events: RawEvent[] }[] = [];
  for (const event of events) {
    const last = runs.at(-1);
    if (last?.streamId === event.streamId) {
      last.events.push(event);
      last.lastVersion = event.version;
      last.position = event.position;
    } else runs.push({ streamId: event.streamId, lastVersion: event.version, position: event.position, events: [event] });
  }
  return runs;
}

/** @param url a store at the edge that holds the file already */
export async function measureSync(file: string, url: string): Promise<Measurement[]> {
  const results: Measurement[] = [];
  const count = (await fetchFeed(url)).length;
  const events = await fetchFeed(url);

  const firstSync = async () => {
    const store = await openStore({ name: newName(), sync: { url } });
    const time = await timed(() => store.sync());
    await store.close();
    return time;
  };
  const rawWrite = async () => {
    const db = await openRaw();
    const time = await timed(async () => {
      for (const page of chunks(events, 1000)) await putAll(db, page, "relaxed");
    });
    db.close();
    return time;
  };
  const facts = { name: `first sync of ${file}`, count, unit: "events" };
  results.push(
    await compare({ ...facts, baseline: "raw idb, writing the same events from memory, a record each" }, firstSync, rawWrite, 3),
  );
  results.push(
    await compare(
      { ...facts, baseline: "fetching and parsing the same pages, storing nothing" },
      firstSync,
      () => timed(() => fetchFeed(url)),
      3,
    ),
  );

  const store = await openStore({ name: newName(), sync: { url } });
  await store.sync();
  const raw = await openRaw();
  await putAll(raw, events, "relaxed");
  results.push(
    await compare(
      { name: `replay of all of ${file}`, baseline: "raw idb, the position index in pages of 1,000", count, unit: "events" },
      () => timed(() => collect(store.readAll())),
      () =>
        timed(async () => {
          let after = 0;
          for (;;) {
            const page: RawEvent[] = await raw.getAllFromIndex("events", "position", IDBKeyRange.lowerBound(after, true), 1000);
            if (page.length === 0) return;
            after = page.at(-1)?.position ?? after;
          }
        }),
    ),
  );
  const streams = [...Map.groupBy(events, (event) => event.streamId)];
  const readers = [
    { name: `read streams of ${file}, every tenth`, chosen: streams.filter((_, i) => i % 10 === 0) },
    { name: `read the longest streams of ${file}`, chosen: streams.sort(([, a], [, b]) => b.length - a.length).slice(0, 50) },
  ];
  for (const { name, chosen } of readers) {
    results.push(
      await compare(
        { name, baseline: "raw idb, getAll of a record each", count: chosen.length, unit: "reads" },
        () =>
          timed(async () => {
            for (const [streamId] of chosen) await store.readStream(streamId);
          }),
        () =>
          timed(async () => {
            for (const [streamId] of chosen)
              await raw.getAll("events", IDBKeyRange.bound([streamId, 1], [streamId, Number.POSITIVE_INFINITY]));
          }),
      ),
    );
  }
  await store.close();
  return results;
}

async function fetchFeed(url: string): Promise<RawEvent[]> {
  const events: RawEvent[] = [];
  for (;;) {
    const response = await fetch(`${url}/feed?limit=1000&after=${events.length}`);
    const page: { events: RawEvent[] } = await response.json();
    if (page.events.length === 0) return events;
    events.push(...page.events);
  }
}
