/**
 * A device with many pending commits. What it reads and writes grows with their number and not faster: a page of the feed touches the commits
 * that it confirms, a push reads the next ones, and nobody reads all of them to count them.
 */
import { IDBFactory, IDBIndex, IDBKeyRange, IDBObjectStore } from "fake-indexeddb";
import { expect, onTestFinished, test } from "vitest";
import { connectStore } from "../../../client/http.ts";
import { openStore, type SendProgress, type Store, type StoreOptions, StreamNotFoundError } from "../../../client/index.ts";
import { openMemoryEdge } from "../../../client/testing/index.ts";
import { createEdge } from "../../../worker/index.ts";
import { Random } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";

const LIMITS = { pageEvents: 40, pushCommits: 30, pushStreams: 5 };
/** An outbox of fewer groups is read whole. */
const GROUPS_AT_ONCE = 32;

interface DeviceOptions extends Partial<StoreOptions> {
  readonly indexedDB?: IDBFactory;
  /** The store at the edge. */
  readonly at?: string;
}

async function open() {
  const edge = await openMemoryEdge(createEdge({ limits: LIMITS }));
  onTestFinished(() => edge.close());
  const id = crypto.randomUUID();
  const nameOf = (name: string) => `${name}-${id}`;
  let pushes = 0;
  const device = async (name: string, { indexedDB = new IDBFactory(), at = "permits", ...options }: DeviceOptions = {}) => {
    const { url, fetch } = edge.network().to(at);
    const counting: typeof fetch = (input, init) => {
      if (init?.method === "POST") pushes++;
      return fetch(input, init);
    };
    const store = await openStore({
      name: nameOf(name),
      platform: { indexedDB, IDBKeyRange },
      limits: LIMITS,
      sync: { url, fetch: counting, automatic: false },
      ...options,
    });
    onTestFinished(() => store.close());
    return store;
  };
  const { url, fetch } = edge.network().to("permits");
  return { device, nameOf, atEdge: connectStore({ url, fetch, limits: LIMITS }), pushes: () => pushes };
}

const noted = (data: number | string) => ({ type: "Noted", data });

/** Appends of the same moment share a group. */
async function fill(store: Store, commits: number, streams: number, atOnce: number): Promise<void> {
  for (let from = 0; from < commits; from += atOnce) {
    const numbers = Array.from({ length: Math.min(atOnce, commits - from) }, (_, i) => from + i);
    await Promise.all(numbers.map((number) => store.appendToStream(`Permit-${number % streams}`, [noted(number)])));
  }
}

const KINDS = {
  get: "read",
  getAll: "read",
  openCursor: "read",
  getAllKeys: "keys",
  openKeyCursor: "keys",
  put: "written",
  add: "written",
};

/** Counts the records that `work` reads and writes, and the keys that it looks up, on all devices of this process. */
async function workOf(work: () => Promise<unknown>): Promise<{ read: number; keys: number; written: number }> {
  const counts = { read: 0, keys: 0, written: 0 };
  const restores: (() => void)[] = [];
  for (const prototype of [IDBObjectStore.prototype, IDBIndex.prototype]) {
    for (const [name, kind] of Object.entries(KINDS)) {
      const method: unknown = Reflect.get(prototype, name);
      if (typeof method !== "function") continue;
      Reflect.set(prototype, name, function counting(this: unknown, ...given: unknown[]) {
        const request: IDBRequest = Reflect.apply(method, this, given);
        request.addEventListener("success", () => {
          counts[kind as keyof typeof counts] += name.startsWith("getAll") ? request.result.length : 1;
        });
        return request;
      });
      restores.push(() => Reflect.set(prototype, name, method));
    }
  }
  try {
    await work();
  } finally {
    for (const restore of restores) restore();
  }
  return counts;
}

test.each([
  ["groups of ten commits", 10, 600],
  ["groups of one commit", 1, 200],
])("to sync pending commits, in %s, takes the same work for each, however many there are", async (_, atOnce, commits) => {
  const { device, pushes } = await open();
  const sync = async (count: number) => {
    const store = await device(`of ${count}`, { at: `of-${count}` });
    await fill(store, count, 20, atOnce);
    const before = pushes();
    const work = await workOf(() => store.sync());
    expect(store.status).toMatchObject({ pending: 0, conflicts: 0, head: count });
    return { ...work, pushes: pushes() - before };
  };
  const [one, two, three] = [await sync(commits), await sync(2 * commits), await sync(3 * commits)];
  for (const kind of ["read", "keys", "written", "pushes"] as const) {
    expect(three[kind] - two[kind], kind).toBeLessThan(1.2 * (two[kind] - one[kind]));
  }
  // A push has room for a fourth of the streams, and is full all the same.
  expect(three.pushes).toBeLessThan((3 * commits) / (LIMITS.pushCommits / 2));
});

test("the status says how far a long outbox is sent, until all is", async () => {
  const { device } = await open();
  const store = await device("A");
  await fill(store, 200, 20, 10);
  const seen: SendProgress[] = [];
  onTestFinished(store.liveStatus().subscribe(({ progress }) => progress !== null && seen.push(progress)));
  await store.sync();
  expect(new Set(seen.map(({ total }) => total))).toEqual(new Set([200]));
  const sent = seen.map((progress) => progress.sent);
  expect(sent).toEqual(sent.toSorted((a, b) => a - b));
  expect(sent).toContain(0);
  expect(sent).toContain(LIMITS.pushCommits);
  expect(seen.at(-1)).toMatchObject({ eventsPerSecond: expect.any(Number), secondsLeft: expect.any(Number) });
  expect(store.status.progress).toBe(null);
});

test("pending commits are counted without reading them", async () => {
  const { device } = await open();
  const indexedDB = new IDBFactory();
  const store = await device("A", { indexedDB });
  // Groups of 1, 64, 36 and 7 commits.
  for (const atOnce of [1, 100, 7]) await fill(store, 30 * atOnce, 20, atOnce);
  let other: Store | undefined;
  const work = await workOf(async () => {
    other = await device("A", { indexedDB });
  });
  expect(other?.status.pending).toBe(30 * 108);
  expect(work.read).toBeLessThan(GROUPS_AT_ONCE + 10);
});

/** The database as version 4 made it. */
function makeVersion4(indexedDB: IDBFactory, name: string, groups: readonly object[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 4);
    request.onupgradeneeded = () => {
      const db = request.result;
      const events = db.createObjectStore("events", { keyPath: "key", autoIncrement: true });
      events.createIndex("streams", "streams", { multiEntry: true });
      db.createObjectStore("parked", { keyPath: "seq" });
      const meta = db.createObjectStore("meta");
      meta.put({ authority: "edge", scope: null }, "history");
      meta.put({ url: null, person: null }, "owner");
      db.createObjectStore("lease");
      db.createObjectStore("snapshots", { keyPath: ["decider", "streamId"] });
      db.createObjectStore("checkpoints");
      for (const group of groups) events.add(group);
    };
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      request.result.close();
      resolve();
    };
  });
}

test("a database of version 4 is opened with all that is pending in it, which is counted, read and synced", async () => {
  const { device, nameOf } = await open();
  const indexedDB = new IDBFactory();
  let version = 0;
  const groups = Array.from({ length: 40 }, (_, i) => {
    const commits = Array.from({ length: (i % 3) + 1 }, (_unused, n) => {
      version++;
      const event = {
        id: crypto.randomUUID(),
        type: "Noted",
        schemaVersion: 1,
        data: version,
        metadata: {},
        occurredAt: "2026-01-01T00:00:00.000Z",
      };
      const versions = { expectedVersion: version - 1, firstVersion: version, lastVersion: version, confirmed: 0 };
      return { n, streamId: "Permit-1", ...versions, events: JSON.stringify([event]) };
    });
    return { streams: [["Permit-1", version]], commits };
  });
  await makeVersion4(indexedDB, nameOf("A"), groups);
  const store = await device("A", { indexedDB });
  expect(store.status.pending).toBe(version);
  expect((await store.readStream("Permit-1")).events.map(({ data }) => data)).toEqual(Array.from({ length: version }, (_, i) => i + 1));
  await store.appendToStream("Permit-1", [noted("new")], { expectedVersion: version });
  await store.sync();
  expect(store.status).toMatchObject({ pending: 0, conflicts: 0, head: version + 1 });
});

test("others' events, conflicts and rules: a long outbox is confirmed as a short one is, each commit once", async () => {
  const random = new Random(SEED);
  for (let round = 0; round < 4; round++) {
    const { device, atEdge } = await open();
    const discarded = new Set<string>();
    const ann = await device("A", {
      onConflict({ events }): "rebase" | "discard" | "park" {
        const answer = random.of<"rebase" | "discard" | "park">(["rebase", "discard", "park"]);
        if (answer === "discard") for (const { id } of events) discarded.add(id);
        return answer;
      },
    });
    const bob = await device("B");
    const streamIds = Array.from({ length: random.between(1, 8) }, (_, i) => `Permit-${i}`);
    const anyStream = () => streamIds[random.between(0, streamIds.length - 1)] ?? "";
    const appended: string[][] = [];
    for (let burst = 0; burst < 3; burst++) {
      for (let i = 0; i < 2 * GROUPS_AT_ONCE; i++) {
        const streamId = anyStream();
        const { version } = await ann.readStream(streamId, { direction: "backwards", limit: 1 }).catch(() => ({ version: 0 }));
        const ids = Array.from({ length: random.between(1, 3) }, () => crypto.randomUUID());
        const expectedVersion = random.next() < 0.1 ? version : "any";
        await ann.appendToStream(
          streamId,
          ids.map((id) => ({ ...noted(`ann's ${burst} ${i}`), id })),
          { expectedVersion },
        );
        appended.push(ids);
      }
      for (let i = random.between(0, 3); i > 0; i--) await bob.appendToStream(anyStream(), [noted(`bob's ${burst} ${i}`)]);
      await bob.sync();
      if (random.next() < 0.7) await ann.sync();
    }
    await ann.sync();
    await bob.sync();
    expect(ann.status.pending).toBe(0);
    const parked = new Set((await ann.conflicts()).flatMap(({ events }) => events.map(({ id }) => id)));
    const recorded: string[] = [];
    for (const streamId of streamIds) {
      const slice = await atEdge.readStream(streamId).catch((error: unknown) => {
        if (error instanceof StreamNotFoundError) return undefined;
        throw error;
      });
      if (slice === undefined) continue;
      const { events } = slice;
      expect(events.map(({ version }) => version)).toEqual(events.map((_, i) => i + 1));
      for (const store of [ann, bob])
        expect((await store.readStream(streamId)).events.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
      recorded.push(...events.map(({ id }) => id));
    }
    expect(new Set(recorded).size).toBe(recorded.length);
    const isRecorded = new Set(recorded);
    for (const ids of appended) {
      const fates = ids.map((id) => [isRecorded.has(id), discarded.has(id), parked.has(id)].filter(Boolean).length);
      expect(fates, `seed ${SEED}, round ${round}`).toEqual(ids.map(() => 1));
    }
  }
});
