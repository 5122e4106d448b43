import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzipSync } from "node:zlib";
import { jwtVerify } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { type EdgeProcess, freePort, startEdge } from "../support/edge.ts";
import { SEED } from "../support/seed.ts";
import { headwater, startTail } from "./run.ts";

const PERMITS = new URL("../data/permits.ndjson.gz", import.meta.url);

let edge: EdgeProcess;
let folder: string;
let permits: string[];

beforeAll(async () => {
  edge = await startEdge();
  folder = await mkdtemp(join(tmpdir(), "headwater-cli-"));
  permits = (await promisify(gunzip)(await readFile(PERMITS))).toString().trimEnd().split("\n");
});

afterAll(async () => {
  await edge.stop();
  await rm(folder, { recursive: true });
});

const newUrl = () => `${edge.url}/v1/${crypto.randomUUID()}`;

async function fileOf(lines: readonly string[], name = `${crypto.randomUUID()}.ndjson`): Promise<string> {
  const path = join(folder, name);
  const text = `${lines.join("\n")}\n`;
  await writeFile(path, name.endsWith(".gz") ? gzipSync(text) : text);
  return path;
}

/** What the file says of each stream, as the store must hold it. */
function streamsOf(lines: readonly string[]): Map<string, unknown[]> {
  const said = lines.map((line) => JSON.parse(line));
  const byStream = Map.groupBy(said, (line) => line.stream as string);
  return new Map(
    [...byStream].map(([stream, own]) => [
      stream,
      own.map(({ type, data, time, actor }) => ({ type, data, occurredAt: new Date(time).toISOString(), metadata: { actor } })),
    ]),
  );
}

async function expectStoreEqualsFile(url: string, lines: readonly string[]): Promise<void> {
  const stored = new Map<string, unknown[]>();
  for await (const { streamId, type, data, occurredAt, metadata } of connectStore({ url }).readAll()) {
    stored.set(streamId, [...(stored.get(streamId) ?? []), { type, data, occurredAt, metadata }]);
  }
  const expected = streamsOf(lines);
  expect(stored.size).toBe(expected.size);
  for (const [stream, events] of expected) expect(stored.get(stream)).toEqual(events);
}

test("a file is imported once, however often it is imported; verify is clean, and the export imports elsewhere", async () => {
  const url = newUrl();
  const lines = permits.slice(0, 150);
  for (const [name, answer] of [
    ["a.ndjson", "150 events appended, 0 already stored.\n"],
    ["a.ndjson.gz", "0 events appended, 150 already stored.\n"],
  ] as const) {
    expect(await headwater(["import", await fileOf(lines, name), "--url", url])).toMatchObject({ exitCode: 0, stdout: answer });
  }
  await expectStoreEqualsFile(url, lines);
  expect((await headwater(["verify", "--url", url])).stdout).toMatch(/^clean: 150 events in \d+ streams/);

  const exported = await headwater(["export", "--url", url]);
  expect(exported.exitCode).toBe(0);
  const written = exported.stdout.trimEnd().split("\n");
  expect(written.slice(0, -1).map((line) => JSON.parse(line).position)).toEqual(lines.map((_, i) => i + 1));
  const sha256 = createHash("sha256")
    .update(
      written
        .slice(0, -1)
        .map((line) => `${line}\n`)
        .join(""),
    )
    .digest("hex");
  expect(JSON.parse(written.at(-1) ?? "")).toMatchObject({ end: { events: 150, sha256 } });
  const out = join(folder, "out.ndjson");
  expect(await headwater(["export", "--url", url, "--out", out])).toMatchObject({ exitCode: 0, stdout: "" });
  expect(await readFile(out, "utf8")).toBe(exported.stdout);

  const copy = newUrl();
  expect(await headwater(["import", "-", "--url", copy], exported.stdout)).toMatchObject({
    exitCode: 0,
    stdout: "150 events appended, 0 already stored.\n",
  });
  const ids = async (store: string) => {
    const found: string[] = [];
    for await (const event of connectStore({ url: store }).readAll()) found.push(event.id);
    return found.sort();
  };
  expect(await ids(copy)).toEqual(await ids(url));
});

test("crash between stream commit and publish: the edge killed at any time of an import, restarted, and the import run again", {
  timeout: 300_000,
}, async () => {
  // So many that the import is not over when it is killed at the half.
  const lines = permits.slice(0, 1000);
  const file = await fileOf(lines);
  let random = SEED;
  for (let round = 0; round < 2; round++) {
    const url = newUrl();
    random = (random * 1103515245 + 12345) % 2 ** 31;
    const killAfter = 1 + (random % (lines.length / 2));
    const importing = headwater(["import", file, "--url", url]);
    const store = connectStore({ url });
    await expect.poll(() => store.head(), { timeout: 60_000, interval: 5 }).toBeGreaterThanOrEqual(killAfter);
    await edge.kill();
    expect((await importing).exitCode).toBe(1);
    await edge.start();
    expect(await headwater(["import", file, "--url", url])).toMatchObject({ exitCode: 0 });
    expect((await headwater(["verify", "--url", url])).stdout).toMatch(/^clean: 1000 events/);
    await expectStoreEqualsFile(url, lines);
  }
});

test.each([
  ["not JSON", ['{"stream":"A-1","type":"A","data":1}', "{"], "line 2 is not valid JSON at column 2: the line ends too early."],
  ["no stream", ['{"type":"A","data":1}'], 'line 1 has no stream: add "stream"'],
  ["no type", ['{"stream":"A-1","data":1}'], 'line 1 has no "type"'],
  [
    "a time that is none",
    ['{"stream":"A-1","type":"A","data":1,"time":"soon"}'],
    'line 1 has an invalid time, "soon", at column 37: write a time that exists',
  ],
  [
    "a stream id of another alphabet",
    ['{"stream":"A-1","type":"A","data":1}', '{"stream":"Ä","type":"A","data":1}'],
    "line 2: A stream id",
  ],
  [
    "an event that is too large",
    ['{"stream":"A-1","type":"A","data":1}', `{"stream":"A-1","type":"A","data":"${"x".repeat(70_000)}"}`],
    "line 2: An event's data and metadata can have at most",
  ],
])("a line with %s is named", async (_, lines, message) => {
  const result = await headwater(["import", await fileOf(lines), "--url", newUrl()]);
  expect(result.exitCode).toBe(1);
  expect(result.stderr).toContain(`headwater: ${message}`);
  expect(result.stderr).not.toMatch(/\n\s+at /);
});

test("a file that the store contradicts is refused, and nothing is overwritten", async () => {
  const url = newUrl();
  await connectStore({ url }).appendToStream("Permit-891", [{ type: "Mine", data: 1 }]);
  const result = await headwater(["import", await fileOf(permits.slice(0, 5)), "--url", url]);
  expect(result).toMatchObject({ exitCode: 1 });
  expect(result.stderr).toContain(
    "line 1 contradicts the store: Permit-891 is at version 1 there, with other events than in the file. Nothing was written.",
  );
  expect((await connectStore({ url }).readStream("Permit-891")).events.map(({ type }) => type)).toEqual(["Mine"]);
});

test("what can't be reached, read or understood is said in one sentence", async () => {
  const closed = `http://127.0.0.1:${await freePort()}/v1/none`;
  const wrong = [
    [
      ["verify", "--url", closed],
      `${closed} did not answer: nothing accepts connections there (ECONNREFUSED). Sending the request again is safe. (unavailable)`,
    ],
    [["tail", "--after", "0", "--url", closed], `${closed} did not answer: nothing accepts connections there (ECONNREFUSED).`],
    [["import", join(folder, "missing"), "--url", newUrl()], "missing can't be read"],
    [
      [
        "import",
        await fileOf([]).then((path) => writeFile(path, new Uint8Array([0x1f, 0x8b, 8, 0, 1, 2])).then(() => path)),
        "--url",
        newUrl(),
      ],
      "can't be read: ",
    ],
    [
      [
        "import",
        await fileOf([]).then((path) => writeFile(path, new Uint8Array([0x20, 0x0a, 0x22, 0xff])).then(() => path)),
        "--url",
        newUrl(),
      ],
      "line 2 can't be read: it is not valid UTF-8 at column 2. Save the file as UTF-8.",
    ],
    [["export", "--url", newUrl(), "--out", join(folder, "no/such/folder")], "can't be written: ENOENT"],
    [["export", "--url", "permits"], "It must be the URL of a store"],
    [["export", "--url", "http://127.0.0.1:8787/v1/permits?after=1"], "without a query or a hash"],
    [["export", "--url", "http://127.0.0.1:8787/v1/permits#top"], "without a query or a hash"],
    [["export", "--url", "ws://127.0.0.1:8787/v1/permits"], "It must be the URL of a store"],
    [["export", "--url", "http://127.0.0.1:8787/"], "It must be the URL of a store"],
    [["import", "x.ndjson"], "required option '--url <url>' not specified"],
  ] as const;
  // Some are tried again for a while.
  const checks = wrong.map(async ([args, message]) => {
    const result = await headwater(args);
    expect([args[0], result.exitCode]).toEqual([args[0], 1]);
    expect(result.stderr).toContain(message);
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });
  await Promise.all(checks);
});

type Event = { position: number; version: number; id: string; data: unknown };

/** Stands before the edge and changes what its feed and its streams say. */
async function lyingEdge(change: (events: Event[], path: string) => Event[]): Promise<{ url: string; close: () => void }> {
  const server = createServer(async (request, response) => {
    const answer = await fetch(`${edge.url}${request.url}`);
    const body = await answer.json();
    if (Array.isArray(body.events)) body.events = change(body.events, request.url ?? "");
    response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`, close: () => server.close() };
}

const inFeed = (path: string) => path.includes("/feed");

test.each<[string, (events: Event[], path: string) => Event[], string]>([
  [
    "a missing event",
    (events, path) => (inFeed(path) ? events.filter(({ position }) => position !== 3) : events),
    "#4 follows #2 in the feed.",
  ],
  [
    "an event that changed",
    (events, path) => events.map((event) => (inFeed(path) && event.position === 2 ? { ...event, data: "other" } : event)),
    "A-1@2 (#2): the stream and the log hold different events.",
  ],
  [
    "a version twice",
    (events) => events.map((event) => (event.version === 3 ? { ...event, version: 2 } : event)),
    "A-1@2 follows @2 in the feed.",
  ],
  ["an id twice", (events) => events.map((event) => ({ ...event, id: events[0]?.id ?? "" })), "A-1@2 repeats the id"],
  [
    "a stream that lost its end",
    (events, path) => (inFeed(path) ? events : events.slice(0, -1)),
    "A-1@4 (#4) is in the log and not in the stream.",
  ],
])("verify finds %s, and says where", async (_, change, finding) => {
  const url = newUrl();
  for (let i = 0; i < 4; i++) await connectStore({ url }).appendToStream("A-1", [{ type: "A", data: i }]);
  const lying = await lyingEdge(change);
  const result = await headwater(["verify", "--url", `${lying.url}${new URL(url).pathname}`]);
  lying.close();
  expect(result).toMatchObject({ exitCode: 1, stdout: "" });
  expect(result.stderr).toContain(finding);
});

test("tail writes events as they come, from where it is told to, and goes on after the edge was killed", async () => {
  const url = newUrl();
  const store = connectStore({ url });
  await store.appendToStream("Permit-1", [{ type: "Before", data: 1 }]);
  const fromStart = startTail(["--url", url, "--after", "0"]);
  const onlyTickets = startTail(["--url", url, "--category", "Ticket", "--type", "Wanted"]);
  expect(await fromStart.lines(1)).toMatchObject([{ type: "Before", position: 1 }]);
  // From now on: what it begins behind is known once it has seen something.
  await expect
    .poll(async () => {
      await store.appendToStream("Ticket-1", [{ type: "Wanted", data: 2 }]);
      return onlyTickets.count();
    })
    .toBeGreaterThan(0);
  await store.appendToStream("Permit-1", [{ type: "Wanted", data: 3 }]);
  await edge.kill();
  await edge.start();
  await store.appendToStream("Ticket-2", [{ type: "Other", data: 4 }]);
  await store.appendToStream("Ticket-2", [{ type: "Wanted", data: 5 }]);
  const head = await store.head();
  const all = (await fromStart.lines(head)) as { position: number }[];
  expect(all.map(({ position }) => position)).toEqual(Array.from({ length: head }, (_, i) => i + 1));
  await expect.poll(() => onlyTickets.last()).toMatchObject({ streamId: "Ticket-2", type: "Wanted", data: 5 });
  expect(await fromStart.end("SIGINT")).toBe(0);
  expect(await onlyTickets.end("SIGTERM")).toBe(0);
});

test("tail says why it can't go on", async () => {
  const { exitCode, stderr } = await headwater(["tail", "--url", newUrl(), "--stream", "not a stream"]);
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining("invalid-request")]);
  const bad = await headwater(["tail", "--url", newUrl(), "--after", "-1"]);
  expect([bad.exitCode, bad.stderr]).toEqual([1, expect.stringContaining("whole number from 0")]);
});

test("token signs what the edge verifies", async () => {
  const JWT_SECRET = "0123456789abcdef0123456789abcdef";
  const signed = await headwater(
    ["token", "--sub", "ann", "--grant", "permits:Permit-*,Note:1:read", "*:Own-1:append", "--expires", "5m"],
    undefined,
    {
      JWT_SECRET,
    },
  );
  const { payload } = await jwtVerify(signed.stdout.trim(), new TextEncoder().encode(JWT_SECRET), { algorithms: ["HS256"] });
  expect(payload).toMatchObject({
    sub: "ann",
    headwater: [
      { store: "permits", streams: ["Permit-*", "Note:1"], can: ["read"] },
      { store: "*", streams: ["Own-1"], can: ["append"] },
    ],
  });
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(300);
  for (const [args, environment, said] of [
    [[], {}, "JWT_SECRET is not set"],
    [[], { JWT_SECRET: "short" }, "32 or more"],
    [["--grant", "permits"], { JWT_SECRET }, "store:streams:actions"],
    [["--grant", "permits:*:write"], { JWT_SECRET }, "read, append and admin"],
    [["--expires", "soon"], { JWT_SECRET }, "15m"],
  ] as const) {
    const refused = await headwater(["token", ...args], undefined, environment);
    expect([refused.exitCode, refused.stdout, refused.stderr]).toEqual([1, "", expect.stringContaining(said)]);
  }
});
