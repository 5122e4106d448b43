import { runInDurableObject, SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { DEFAULT_LIMITS, ROW_BYTES } from "../../../shared/limits.ts";
import { createEdge } from "../../../worker/index.ts";
import { eventually } from "../../support/eventually.ts";
import { type Answer, event, newStore, type TestStore } from "../edge-calls.ts";

function expectProblem(answer: Answer, status: number, code: string, field?: string): void {
  expect([answer.status, answer.body?.code, answer.body?.status]).toEqual([status, code, status]);
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  if (field !== undefined) expect(answer.body.field).toBe(field);
  expect(answer.text).not.toMatch(/\bat [\w.]+ \(|\.ts:|SELECT|INSERT/);
}

const post = (store: TestStore, path: string, body: BodyInit, headers?: HeadersInit) =>
  store.request(path, { method: "POST", body, ...(headers === undefined ? {} : { headers }) });

test.each([
  ["no body", "", "body"],
  ["no JSON", "{", "body"],
  ["no object", "[]", "events"],
  ["null", "null", "body"],
  ["no events", "{}", "events"],
  ["events that are none", '{"events":7}', "events"],
  ["an empty commit", '{"events":[]}', "events"],
  ["an unknown expectation", '{"expectedVersion":"maybe","events":[{"type":"A","data":1}]}', "expectedVersion"],
  ["a negative expectation", '{"expectedVersion":-1,"events":[{"type":"A","data":1}]}', "expectedVersion"],
  ["an event without a type", '{"events":[{"data":1}]}', "events[0].type"],
  ["an event without data", '{"events":[{"type":"A"}]}', "events[0].data"],
  ["an id that is no UUID", '{"events":[{"id":"1","type":"A","data":1}]}', "events[0].id"],
  ["a number that JSON can't carry", '{"events":[{"type":"A","data":{"x":1e400}}]}', "events[0].data.x"],
  ["a whole number that would change", '{"events":[{"type":"A","data":{"list":[1,{"x":9007199254740993}]}}]}', "events[0].data.list[1].x"],
  ["a number of twenty digits", '{"events":[{"type":"A","data":12345678901234567890}]}', "events[0].data"],
  ["a number that would be 0", '{"events":[{"type":"A","data":1e-400}]}', "events[0].data"],
  ["such a number in metadata", '{"events":[{"type":"A","data":1,"metadata":{"order":9007199254740993}}]}', "events[0].metadata.order"],
  ["a type too long", `{"events":[{"type":"${"t".repeat(256)}","data":1}]}`, "events[0].type"],
  ["a type with a line break", '{"events":[{"type":"a\\nb","data":1}]}', "events[0].type"],
  ["a schema version of none", '{"events":[{"type":"A","data":1,"schemaVersion":0}]}', "events[0].schemaVersion"],
  ["a local time", '{"events":[{"type":"A","data":1,"occurredAt":"2026-01-01T10:00:00+01:00"}]}', "events[0].occurredAt"],
  ["30 February", '{"events":[{"type":"A","data":1,"occurredAt":"2026-02-30T10:00:00Z"}]}', "events[0].occurredAt"],
  ["a lone surrogate", '{"events":[{"type":"A","data":"\\ud800"}]}', "events[0].data"],
  ["metadata that is no object", '{"events":[{"type":"A","data":1,"metadata":"m"}]}', "events[0].metadata"],
])("%s is refused with the field, and nothing is written", async (_, body, field) => {
  const store = newStore();
  expectProblem(await post(store, "/streams/Permit-1", body), 400, "invalid-request", field);
  expectProblem(await store.request("/streams/Permit-1"), 404, "stream-not-found");
  expect(await store.feed()).toEqual([]);
});

test("numbers that JSON keeps are stored as they are, and minus zero as 0", async () => {
  const store = newStore();
  const data = "[-0.0,9007199254740992,0.10000000000000001,1e21,-122.41941550000001]";
  expect((await post(store, "/streams/Permit-1", `{"events":[{"type":"A","data":${data}}]}`)).status).toBe(201);
  expect((await store.request("/streams/Permit-1")).body.events).toMatchObject([
    { data: [0, 9007199254740992, 0.1, 1e21, -122.41941550000001] },
  ]);
});

test("a body that is not UTF-8, or encoded, is refused", async () => {
  const store = newStore();
  expectProblem(await post(store, "/streams/Permit-1", new Uint8Array([0x22, 0xff, 0x22])), 400, "invalid-request", "body");
  expectProblem(await post(store, "/streams/Permit-1", "{}", { "content-encoding": "gzip" }), 400, "invalid-request", "content-encoding");
});

test("depth is bounded, however deep", async () => {
  const store = newStore();
  for (const levels of [DEFAULT_LIMITS.jsonDepth + 1, 100_000]) {
    const body = `{"events":[{"type":"A","data":${"[".repeat(levels)}${"]".repeat(levels)}}]}`;
    expectProblem(await post(store, "/streams/Permit-1", body), 413, "payload-too-large");
  }
});

test("a body is bounded by its bytes, with and without a Content-Length", async () => {
  const store = newStore();
  const chunk = new TextEncoder().encode(" ".repeat(64 * 1024));
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += chunk.length;
      controller.enqueue(chunk);
    },
  });
  expectProblem(await post(store, "/streams/Permit-1", endless), 413, "payload-too-large", "body");
  expect(sent).toBeLessThan(2 * DEFAULT_LIMITS.bodyBytes);
  expectProblem(await post(store, "/commits", " ".repeat(DEFAULT_LIMITS.bodyBytes + 1)), 413, "payload-too-large", "body");
});

test("what is too large for an event or a commit is refused, never cut, and nothing is written", async () => {
  const store = newStore();
  const { eventBytes, commitBytes, commitEvents } = DEFAULT_LIMITS;
  const filling = (bytes: number) => event("A", "x".repeat(bytes - 2 - "{}".length));
  expectProblem(await store.append("Permit-1", 0, filling(eventBytes + 1)), 413, "payload-too-large", "events[0]");
  expectProblem(await store.append("Permit-1", 0, event("A", "é".repeat(eventBytes / 2))), 413, "payload-too-large", "events[0]");
  const many = Array.from({ length: commitEvents + 1 }, () => event());
  expectProblem(await store.append("Permit-1", 0, ...many), 413, "payload-too-large", "events");
  const large = Array.from({ length: commitBytes / eventBytes + 1 }, () => filling(eventBytes));
  expectProblem(await store.append("Permit-1", 0, ...large), 413, "payload-too-large", "events");
  const pushed = await store.push({ streamId: "Permit-1", events: [filling(eventBytes + 1)] }, { streamId: "Permit-2", events: [event()] });
  expect(pushed.body.results).toMatchObject([
    { status: "rejected", code: "payload-too-large", field: "commits[0].events[0]" },
    { status: "committed" },
  ]);
  expectProblem(await store.request("/streams/Permit-1"), 404, "stream-not-found");
  expect((await store.append("Permit-1", 0, filling(eventBytes))).status).toBe(201);
  expect((await store.append("Permit-1", 1, ...many.slice(1))).body).toMatchObject({ firstVersion: 2, version: commitEvents + 1 });
});

test("a push is bounded in commits and streams", async () => {
  const store = newStore();
  const commits = (count: number, streams: number) =>
    Array.from({ length: count }, (_, i) => ({ streamId: `A-${i % streams}`, events: [event()] }));
  expectProblem(await store.push(...commits(DEFAULT_LIMITS.pushCommits + 1, 1)), 413, "payload-too-large", "commits");
  expectProblem(
    await store.push(...commits(DEFAULT_LIMITS.pushStreams + 1, DEFAULT_LIMITS.pushStreams + 1)),
    413,
    "payload-too-large",
    "commits",
  );
  expect(await store.feed()).toEqual([]);
  expect((await store.push(...commits(DEFAULT_LIMITS.pushStreams, DEFAULT_LIMITS.pushStreams))).status).toBe(200);
});

test.each([
  ["no JSON", "{", "body"],
  ["no commits", "{}", "commits"],
  ["commits that are none", '{"commits":{}}', "commits"],
  ["a commit that is none", '{"commits":[7]}', "commits.0"],
  ["a log that is none", '{"log":1,"commits":[]}', "log"],
  [
    "a number that would change",
    '{"commits":[{"streamId":"A-1","events":[{"type":"A","data":[9007199254740993]}]}]}',
    "commits[0].events[0].data[0]",
  ],
  ["a position that is none", '{"log":"l","position":-1,"commits":[]}', "position"],
  ["a mark that is none", '{"log":"l","position":1,"mark":1,"commits":[]}', "mark"],
  ["a mark without its position", '{"log":"l","mark":"m","commits":[]}', "position"],
])("a push with %s is refused with the field", async (_, body, field) => {
  expectProblem(await post(newStore(), "/commits", body), 400, "invalid-request", field);
});

test.each([
  ["/feed?after=-1", "after"],
  ["/feed?after=1.5", "after"],
  ["/feed?after=NaN", "after"],
  ["/feed?after=9007199254740993", "after"],
  ["/feed?after=1&after=2", "after"],
  ["/feed?limit=0", "limit"],
  ["/feed?limit=1e3", "limit"],
  ["/feed?stream=1", "stream"],
  ["/feed?within=Permit&within=1", "within"],
  ["/feed?mark=a&mark=b", "mark"],
  ["/feed?since=yesterday", "since"],
  ["/feed?until=2026-01-01", "until"],
  ["/streams?limit=x", "limit"],
  ["/streams?category=%2F", "category"],
  ["/streams/Permit-1?from=0", "from"],
  ["/streams/Permit-1?direction=up", "direction"],
  ["/streams/1", "streamId"],
  ["/streams/A%2FB", "streamId"],
  ["/streams/A%0AB", "streamId"],
  ["/streams/%C3%84", "streamId"],
])("%s is refused", async (path, field) => {
  expectProblem(await newStore().request(path), 400, "invalid-request", field);
});

test("a store id of another alphabet is refused", async () => {
  for (const id of ["Upper", "a_b", "-a", "a".repeat(64), "a%2Fb"]) {
    const response = await SELF.fetch(`https://edge.example/v1/${id}/feed`);
    expect([response.status, (await response.json<{ field: string }>()).field]).toEqual([400, "store"]);
  }
});

test("a page asked for larger than it may be is as full as it may be", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  expect((await store.request("/feed?limit=999999999")).body.events).toHaveLength(1);
});

test("a path that is none is told so", async () => {
  const store = newStore();
  expectProblem(await store.request("/nothing"), 404, "invalid-request", "path");
  expectProblem(await store.request("/feed", { method: "DELETE" }), 404, "invalid-request", "path");
});

test("whatever is pushed at once, no row comes near what production refuses", async () => {
  const store = newStore();
  const { commitBytes, eventBytes } = DEFAULT_LIMITS;
  // Commits near their limit: of one-byte and of three-byte characters, and of many small events.
  const filled = (character: string, bytes: number) => {
    const size = Math.floor((eventBytes - 200) / bytes);
    return Array.from({ length: Math.floor(commitBytes / eventBytes) }, () => event("A", character.repeat(size)));
  };
  const small = Array.from({ length: DEFAULT_LIMITS.commitEvents }, () => event("A", "x".repeat(700)));
  const commits = [filled("x", 1), filled("€", 3), small].map((events) => ({ streamId: "A-1", expectedVersion: "any", events }));
  const { status, body } = await store.push(...commits);
  expect([status, body.results.map((result) => result.status)]).toEqual([200, ["committed", "committed", "committed"]]);
  await eventually(async () => expect((await store.request("/health")).body.events).toBe(commits.flatMap(({ events }) => events).length));
  const ofStream = await runInDurableObject<DurableObject, number>(store.stream("A-1"), (_, { storage: { kv } }) =>
    Math.max(
      ...Array.from(kv.list<{ events: Uint8Array } | { prints: Uint8Array }>(), ([key, row]) => {
        return key.length + ("events" in row ? row.events : row.prints).byteLength;
      }),
    ),
  );
  const ofLog = await runInDurableObject<DurableObject, number>(
    store.log(),
    (_, { storage: { sql } }) => sql.exec<{ bytes: number }>("SELECT max(length(CAST(events AS BLOB))) AS bytes FROM runs").one().bytes,
  );
  for (const bytes of [ofStream, ofLog]) {
    expect(bytes).toBeGreaterThan(commitBytes / 2);
    expect(bytes).toBeLessThan(ROW_BYTES);
  }
});

test("limits of an app's own are checked where the edge is made", () => {
  expect(() => createEdge({ limits: { eventBytes: 1024 * 1024 } })).not.toThrow();
  expect(() => createEdge({ limits: { commitBytes: 1.5 } })).toThrow(expect.objectContaining({ field: "limits.commitBytes" }));
  expect(() => createEdge({ limits: { pageEvents: 0 } })).toThrow(expect.objectContaining({ field: "limits.pageEvents" }));
  expect(() => createEdge({ limits: { commitBytes: ROW_BYTES } })).toThrow(expect.objectContaining({ field: "limits.commitBytes" }));
});
