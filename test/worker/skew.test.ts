/**
 * What earlier versions have stored, and which calls they make. The files in `skew/` never change: rows of a later version get a new file.
 */
import { createExecutionContext, env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, onTestFinished, test } from "vitest";
import { EVERYTHING } from "../../shared/edge/grants.ts";
import { createEdge } from "../../worker/index.ts";
import { LogObject } from "../../worker/log/log-object.ts";
import { damageLog, damageStream } from "./damage.ts";
import { event, newStore, type TestStore } from "./edge-calls.ts";
import storageFile from "./skew/storage-1.json?raw";

interface Storage {
  readonly schema: readonly string[];
  readonly tables: Readonly<Record<string, readonly (readonly (string | number | null)[])[]>>;
}

const STORAGE: Readonly<Record<"stream" | "log" | "logBeforeMarks", Storage>> = JSON.parse(storageFile);

/** Puts the rows of an earlier version in the place of what the object has, and has it wake with them. */
async function restore(object: Parameters<typeof evictDurableObject>[0], { schema, tables }: Storage, store: string): Promise<void> {
  await runInDurableObject<DurableObject, void>(object, (_, { storage: { sql } }) => {
    for (const table of Object.keys(tables)) sql.exec(`DROP TABLE IF EXISTS ${table}`);
    for (const statement of schema) sql.exec(statement);
    for (const [table, rows] of Object.entries(tables)) {
      for (const row of rows) {
        const values = row.map((value) => (typeof value === "string" ? value.replace("STORE/", `${store}/`) : value));
        sql.exec(`INSERT INTO ${table} VALUES (${values.map(() => "?").join(", ")})`, ...values);
      }
    }
  });
  await evictDurableObject(object);
}

const FEED = ["#1 Permit-1@1", "#2 Permit-1@2", "#3 Other-1@1", "#4 Permit-1@3"];

async function restored(log: "log" | "logBeforeMarks"): Promise<TestStore> {
  const store = newStore();
  await restore(store.log(), STORAGE[log], store.id);
  await restore(store.stream("Permit-1"), STORAGE.stream, store.id);
  return store;
}

test.each(["log", "logBeforeMarks"] as const)("rows of an earlier version are read, and appended to: %s", async (log) => {
  const store = await restored(log);
  expect(await store.feed()).toEqual(FEED);
  const { body: page } = await store.request("/feed");
  expect(page).toMatchObject({ log: STORAGE.log.tables["meta"]?.[0]?.[0], head: 4, mark: STORAGE.log.tables["runs"]?.at(-1)?.[5] });
  const { body: stream } = await store.request("/streams/Permit-1");
  expect(stream.events.map(({ data, actor, position }) => [data, actor, position])).toEqual([
    [{ a: 1 }, "ann", 1],
    ["ü", null, 2],
    [[null], null, 4],
  ]);
  // An id that an earlier version recorded is known still.
  const { id } = stream.events[2] ?? {};
  const again = await store.append("Permit-1", 99, { id, type: "Happened", data: [null] });
  expect([again.status, again.body]).toMatchObject([200, { version: 3, position: 4, duplicate: true }]);
  expect((await store.append("Permit-1", 3, event())).body).toMatchObject({ version: 4, position: 5 });
  expect(await store.feed()).toEqual([...FEED, "#5 Permit-1@4"]);
});

test("rows of an earlier version have no digests: what is no event any more is noticed, in the log as in a stream", async () => {
  const changes = [
    (events: string) => events.replace('"data":[null]', '"data":[null'),
    (events: string) => events.replace('"actor"', '"actpr"'),
    (events: string) => events.replace('{"id":"', '{"ie":"'),
  ];
  for (const change of changes) {
    const store = await restored("log");
    await damageLog(store, 4, change);
    expect(await store.feed()).toEqual(FEED.slice(0, 3));
    expect((await store.request("/feed?after=3")).body).toMatchObject({ code: "storage-damaged", position: 4 });
    // The stream wakes, and moves its rows out of their table.
    await store.request("/streams/Permit-1");
    await damageStream(store, "Permit-1", 3, change);
    expect((await store.request("/streams/Permit-1?from=3")).body).toMatchObject({ code: "storage-damaged", version: 3 });
  }
});

test("a stream whose log is of an earlier version takes commits, and a conflict stays one", async () => {
  const store = newStore();
  const now = Object.getOwnPropertyDescriptors(LogObject.prototype);
  const { publish } = LogObject.prototype;
  Object.assign(LogObject.prototype, {
    publish(this: LogObject, ...given: Parameters<LogObject["publish"]>) {
      const { log, answers } = publish.apply(this, given);
      return { log, answers: answers.map((answer) => ({ ...answer, head: undefined })) };
    },
  });
  for (const name of ["headOf", "reportDiverged"]) Reflect.deleteProperty(LogObject.prototype, name);
  onTestFinished(() => void Object.defineProperties(LogObject.prototype, now));
  expect((await store.append("A-1", 0, event())).body).toMatchObject({ version: 1, position: 1 });
  expect((await store.append("A-1", 5, event())).body).toMatchObject({ code: "version-conflict", actualVersion: 1 });
  expect((await store.append("A-1", 1, event())).body).toMatchObject({ version: 2, position: 2 });
});

test("what today's version writes into a log, the one of the rows would find in its columns", async () => {
  const store = newStore();
  await store.append("Permit-1", 0, event());
  const { tables } = STORAGE.log;
  const columns = (_: unknown, { storage: { sql } }: DurableObjectState) =>
    Object.keys(tables).map((table) => Object.keys(sql.exec(`SELECT * FROM ${table}`).toArray()[0] ?? {}).length);
  const found = await runInDurableObject<DurableObject, number[]>(store.log(), columns);
  expect(found).toEqual(Object.values(tables).map(([row]) => row?.length));
});

test("what today's version writes into a stream, a later one will find as it is here", async () => {
  const store = newStore();
  await store.append("Permit-1", 0, event("A"), event("B"));
  await store.append("Permit-1", 2, event("C"));
  const entries = await runInDurableObject<DurableObject, [string, { events: Uint8Array; name?: string }][]>(
    store.stream("Permit-1"),
    (_, { storage: { kv } }) => Array.from(kv.list()),
  );
  const types = (events: Uint8Array) =>
    new TextDecoder()
      .decode(events)
      .split("\n")
      .map((line) => JSON.parse(line).type);
  expect(entries.map(([key, { events, ...rest }]) => [key, types(events), rest])).toEqual([
    ["0000000000000002", ["A", "B"], { name: `${store.id}/Permit-1` }],
    ["0000000000000003", ["C"], {}],
  ]);
});

test("an old Worker, which has let in only who may read everything, is shown everything by a new log", async () => {
  const store = await restored("log");
  const log = store.log();
  const read = await log.read({ after: 0, limit: 10 });
  expect("page" in read && JSON.parse(read.page).events).toHaveLength(4);
  const list = await log.streams({ after: "", limit: 10 });
  expect("streams" in list && list.streams.map(({ streamId }) => streamId)).toEqual(["Other-1", "Permit-1"]);
});

test("a new Worker shows nothing of an old log, which knows of no grants, and serves again when the log is replaced", async () => {
  const store = await restored("log");
  const edge = createEdge({
    authenticate: () => ({ actor: "ann", grants: [{ store: "*", streams: ["Permit-*"], can: ["read"] }] }),
  });
  const call = async (path: string) => {
    const request = new Request(`https://edge.example/v1/${store.id}${path}`);
    const response = await edge.fetch(request, env, createExecutionContext());
    return { status: response.status, text: await response.text() };
  };
  const replace = makeOld();
  for (const path of ["/feed", "/streams"]) {
    const { status, text } = await call(path);
    expect([status, JSON.parse(text).code]).toEqual([503, "unavailable"]);
    expect(text).not.toContain("Other-1");
  }
  replace();
  for (const path of ["/feed", "/streams"]) {
    const { status, text } = await call(path);
    expect(status).toBe(200);
    expect(text).toContain("Permit-1");
    expect(text).not.toContain("Other-1");
  }
});

/** Logs as they were before there were grants of streams. @returns what makes them new again */
function makeOld(): () => void {
  const now = Object.getOwnPropertyDescriptors(LogObject.prototype);
  const { readPage, listStreams } = LogObject.prototype;
  Object.assign(LogObject.prototype, {
    read(this: LogObject, query: Parameters<LogObject["read"]>[0]) {
      return readPage.call(this, query, EVERYTHING);
    },
    streams(this: LogObject, query: Parameters<LogObject["streams"]>[0]) {
      return listStreams.call(this, query, EVERYTHING);
    },
  });
  Reflect.deleteProperty(LogObject.prototype, "readPage");
  Reflect.deleteProperty(LogObject.prototype, "listStreams");
  const replace = () => Object.defineProperties(LogObject.prototype, now);
  onTestFinished(() => void replace());
  return replace;
}
