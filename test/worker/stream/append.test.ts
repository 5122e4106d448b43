import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { type Answer, event, newStore } from "../edge-calls.ts";

test("an append answers 201 with versions and position", async () => {
  const store = newStore();
  const { status, body } = await store.append("Permit-1", 0, event(), event());
  expect([status, body]).toEqual([201, { streamId: "Permit-1", firstVersion: 1, version: 2, position: 1, duplicate: false }]);
  expect((await store.append("Permit-2", "no-stream", event())).body).toMatchObject({ version: 1, position: 3 });
});

/** Each on a stream that holds two commits: a, b and then c. */
const [a, b, c] = [event("A", { n: 1 }), event("B", [2]), event("C", null)] as const;
const [x, y] = [event("X"), event("Y")] as const;
test.each<[string, unknown, object[], number, object]>([
  ["the whole first commit again", 0, [a, b], 200, { firstVersion: 1, version: 2, position: 1, duplicate: true }],
  ["a part of a commit again, whatever it expects", "no-stream", [b], 200, { firstVersion: 2, version: 2, position: 2, duplicate: true }],
  ["recorded side by side, over two commits", 99, [b, c], 200, { firstVersion: 2, version: 3, position: 2, duplicate: true }],
  ["the same at another time", 0, [{ ...a, occurredAt: "2026-01-01T00:00:00Z" }], 200, { firstVersion: 1, version: 1, duplicate: true }],
  ["the same id with other data", 3, [{ ...a, data: { n: 2 } }], 409, { code: "event-id-reused", eventId: a.id }],
  ["the same id with another type", "any", [{ ...a, type: "Z" }], 409, { code: "event-id-reused" }],
  ["the same id with another schema version", "any", [{ ...a, schemaVersion: 2 }], 409, { code: "event-id-reused" }],
  ["the same id with other metadata", "any", [{ ...a, metadata: { correlationId: "1" } }], 409, { code: "event-id-reused" }],
  ["only some ids recorded, at the start", 3, [c, x], 409, { code: "event-id-reused" }],
  ["only some ids recorded, at the end", 3, [x, c], 409, { code: "event-id-reused" }],
  ["recorded in another order", 3, [b, a], 409, { code: "event-id-reused" }],
  ["recorded, but scattered", 3, [a, c], 409, { code: "event-id-reused" }],
  ["an id twice within the commit", 3, [x, y, x], 400, { code: "invalid-request", field: "events[2].id" }],
  ["the right version", 3, [x, y], 201, { firstVersion: 4, version: 5, position: 4, duplicate: false }],
  ["any version", "any", [x], 201, { firstVersion: 4, version: 4, position: 4, duplicate: false }],
  ["no expectation at all", undefined, [x], 201, { firstVersion: 4, version: 4, position: 4, duplicate: false }],
  ["a stream that exists", "stream-exists", [x], 201, { firstVersion: 4, version: 4, position: 4, duplicate: false }],
  ["an older version", 2, [x], 409, { code: "version-conflict", expectedVersion: 2, actualVersion: 3 }],
  ["a later version", 4, [x], 409, { code: "version-conflict", expectedVersion: 4, actualVersion: 3 }],
  ["no stream", "no-stream", [x], 409, { code: "version-conflict", expectedVersion: "no-stream", actualVersion: 3 }],
])("append decision: %s", async (_, expectedVersion, events, status, answer) => {
  const store = newStore();
  await store.append("Permit-1", 0, a, b);
  await store.append("Permit-1", 2, c);
  const appended = await store.append("Permit-1", expectedVersion, ...events);
  expect(appended.status).toBe(status);
  expect(appended.body).toMatchObject(answer);
  const versions = 3 + (status === 201 ? events.length : 0);
  expect(await store.feed()).toEqual(Array.from({ length: versions }, (_, i) => `#${i + 1} Permit-1@${i + 1}`));
});

test.each<[unknown, number]>([
  [0, 201],
  ["no-stream", 201],
  ["any", 201],
  ["stream-exists", 409],
  [1, 409],
])("a first commit that expects %s is answered %i", async (expectedVersion, status) => {
  const store = newStore();
  const answer = await store.append("Permit-1", expectedVersion, event());
  expect(answer.status).toBe(status);
  if (status === 409) expect(answer.body).toMatchObject({ code: "version-conflict", expectedVersion, actualVersion: 0 });
  expect(await store.feed()).toHaveLength(status === 201 ? 1 : 0);
});

test("accepted push, lost reply: sent again, also after an eviction and others' appends, it answers 200 with the original values", async () => {
  const store = newStore();
  const commit = [event("A"), event("B")];
  const { body: first } = await store.append("Permit-1", 0, ...commit);
  await store.append("Permit-1", 2, event("C"));
  await evictDurableObject(store.stream("Permit-1"));
  const again = await store.append("Permit-1", 0, ...commit);
  expect([again.status, again.body]).toEqual([200, { ...first, duplicate: true }]);
  const pushed = await store.push({ streamId: "Permit-1", expectedVersion: 0, events: commit });
  expect(pushed.body.results).toEqual([{ status: "duplicate", streamId: "Permit-1", firstVersion: 1, version: 2, position: 1 }]);
  expect(await store.feed()).toEqual(["#1 Permit-1@1", "#2 Permit-1@2", "#3 Permit-1@3"]);
});

test("the same ids with another body are refused, at once and after a restart of every object", async () => {
  const store = newStore();
  const { id } = event();
  await store.append("Permit-1", 0, { id, type: "A", data: 1 });
  for (const restart of [false, true]) {
    if (restart) await abortAllDurableObjects();
    const { status, body } = await store.append("Permit-1", "any", { id, type: "A", data: 2 });
    expect([status, body.code]).toEqual([409, "event-id-reused"]);
  }
});

test("version race: of 50 appends on the same version one wins, and 49 learn the actual version", async () => {
  const store = newStore();
  await store.append("Permit-1", 0, event());
  const answers = await Promise.all(Array.from({ length: 50 }, () => store.append("Permit-1", 1, event())));
  expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
  const refused = answers.filter((answer) => answer.status === 409);
  expect(refused).toHaveLength(49);
  for (const { body } of refused) expect(body).toMatchObject({ code: "version-conflict", expectedVersion: 1, actualVersion: 2 });
  expect(await store.feed()).toEqual(["#1 Permit-1@1", "#2 Permit-1@2"]);
});

test("errors of many appends at once: each names its stream, in the problem document and in its sentence", async () => {
  const store = newStore();
  const streams = Array.from({ length: 5 }, (_, i) => `Permit-${i + 1}`);
  await Promise.all(streams.map((streamId, i) => store.append(streamId, 0, ...Array.from({ length: i + 1 }, () => event()))));
  const conflicts = await Promise.all(streams.map((streamId) => store.append(streamId, "no-stream", event())));
  expect(conflicts.map(({ status, body: { type: _, title, ...problem } }) => [status, problem])).toEqual(
    streams.map((streamId, i) => [
      409,
      {
        status: 409,
        code: "version-conflict",
        streamId,
        expectedVersion: "no-stream",
        actualVersion: i + 1,
        detail: `${streamId}: Expected version no-stream, but the stream is at version ${i + 1}.`,
      },
    ]),
  );
});

test("every error that a stream or its events cause names the stream", async () => {
  const store = newStore();
  const first = event();
  await store.append("Permit-1", 0, first);
  const problemOf = ({ body: { code, streamId, detail } }: Answer) => [code, streamId, detail];
  expect(problemOf(await store.append("Permit-1", 1, { ...first, type: "Other" }))).toEqual([
    "event-id-reused",
    "Permit-1",
    `Permit-1: Another event of the stream already has the id ${first.id}. Give each event its own id.`,
  ]);
  expect(problemOf(await store.request("/streams/Permit-2"))).toEqual([
    "stream-not-found",
    "Permit-2",
    "Permit-2: The stream does not exist: no event was ever appended to it.",
  ]);
  const [code, streamId] = problemOf(await store.append("Permit-1", 1));
  expect([code, streamId]).toEqual(["invalid-request", "Permit-1"]);
  // A result of a push names its stream beside its sentence.
  const { body } = await store.push({ streamId: "Permit-1", expectedVersion: 0, events: [event()] });
  expect(body.results).toMatchObject([{ streamId: "Permit-1", detail: "Expected version 0, but the stream is at version 1." }]);
});

test("a push answers each commit on its own; what stands behind a refused one of its stream is skipped", async () => {
  const store = newStore();
  await store.append("B-1", 0, event());
  const { status, body } = await store.push(
    { streamId: "A-1", expectedVersion: 0, events: [event()] },
    { streamId: "B-1", expectedVersion: 0, events: [event()] },
    { streamId: "B-1", expectedVersion: 1, events: [event()] },
    { streamId: "A-1", expectedVersion: 1, events: [event(), event()] },
    { streamId: "C-1", expectedVersion: "any", events: [{ type: "", data: 1 }] },
    { streamId: "C-1", expectedVersion: "any", events: [event()] },
    { streamId: "9-bad", expectedVersion: "any", events: [event()] },
    { streamId: "D-1", expectedVersion: "any", events: [event()] },
  );
  expect(status).toBe(200);
  expect(body.log).toMatch(/^[0-9a-f-]{36}$/);
  expect(body.results).toMatchObject([
    { status: "committed", streamId: "A-1", firstVersion: 1, version: 1 },
    { status: "conflict", streamId: "B-1", code: "version-conflict", expectedVersion: 0, actualVersion: 1 },
    { status: "skipped", streamId: "B-1" },
    { status: "committed", streamId: "A-1", firstVersion: 2, version: 3 },
    { status: "rejected", streamId: "C-1", code: "invalid-request", field: "commits[4].events[0].type" },
    { status: "skipped", streamId: "C-1" },
    { status: "rejected", code: "invalid-request", field: "commits[6].streamId" },
    { status: "committed", streamId: "D-1", firstVersion: 1, version: 1 },
  ]);
  const feed = await store.feed();
  for (const result of body.results) {
    if (result.status !== "committed") continue;
    expect(feed[(result.position ?? 0) - 1]).toBe(`#${result.position} ${result.streamId}@${result.firstVersion}`);
  }
  expect(feed).toHaveLength(5);
  await expect(store.request("/streams/C-1")).resolves.toMatchObject({ status: 404 });
});

test("a push that a stream of nothing refuses is answered like any other", async () => {
  const store = newStore();
  const commit = (streamId: string, expectedVersion: unknown) => ({ streamId, expectedVersion, events: [event()] });
  const { status, body } = await store.push(commit("New-1", 3), commit("New-1", 0), commit("New-2", "stream-exists"), commit("New-3", 0));
  expect([status, body.results.map((result) => result.status)]).toEqual([200, ["conflict", "skipped", "conflict", "committed"]]);
  expect((await store.request("/streams/New-1")).status).toBe(404);
  expect(await store.feed()).toEqual(["#1 New-3@1"]);
});

test("a push for another log takes nothing", async () => {
  const store = newStore();
  const commits = [{ streamId: "A-1", expectedVersion: 0, events: [event()] }];
  const refused = await store.request("/commits", { method: "POST", body: JSON.stringify({ log: crypto.randomUUID(), commits }) });
  expect([refused.status, refused.body.code]).toEqual([409, "log-mismatch"]);
  expect(await store.feed()).toEqual([]);
});

test("a stream without room refuses with its own code, keeps nothing of the commit, and reads go on", async () => {
  const store = newStore();
  await store.append("A-1", 0, event("Before"));
  const full = await runInDurableObject(store.stream("A-1"), (_, state) => {
    return vi.spyOn(Object.getPrototypeOf(state.storage.kv), "put").mockImplementation(() => {
      throw new Error("database or disk is full: SQLITE_FULL");
    });
  });
  const refused = await store.append("A-1", 1, event("Lost"));
  expect([refused.status, refused.body.code]).toEqual([507, "store-full"]);
  expect((await store.request("/streams/A-1")).body).toMatchObject({ version: 1, events: [{ type: "Before" }] });
  expect(await store.feed()).toEqual(["#1 A-1@1"]);
  full.mockRestore();
  expect((await store.append("A-1", 1, event("After"))).body).toMatchObject({ version: 2, position: 2 });
});
