/** The feed socket, against a real edge. Devices poll only once a minute, so news that come sooner came over the socket. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import "fake-indexeddb/auto";
import { connectStore } from "../../../client/http.ts";
import type { Store } from "../../../client/index.ts";
import { type Devices, devicesAt, event, expectAgreement } from "../../support/devices.ts";
import { type EdgeProcess, startEdge } from "../../support/edge.ts";
import { TcpProxy } from "../../support/proxy.ts";
import { SECRET, signToken } from "../../support/tokens.ts";

const MINUTE = 60_000;
/** Far less than a minute. */
const SOON = { timeout: 15_000 };

let edge: EdgeProcess;
let proxy: TcpProxy;

beforeAll(async () => {
  edge = await startEdge({ AUTH: "jwt", JWT_SECRET: SECRET });
  proxy = await TcpProxy.start(edge.url);
});
afterAll(async () => {
  await proxy?.close();
  await edge?.stop();
});

let devices: Devices;
beforeEach(() => {
  devices = devicesAt(edge.url);
});
afterEach(() => devices.close());

const sign = (seconds: number) => signToken({ seconds });

const LIVE = { automatic: true, pollEvery: MINUTE, token: () => sign(60) };

async function heard(store: Store, streamId: string, version: number): Promise<void> {
  const known = async () => (await store.readStream(streamId).catch(() => ({ version: 0 }))).version;
  await expect.poll(known, SOON).toBe(version);
  await expect.poll(() => store.status.pending, SOON).toBe(0);
}

/** Says so once the edge has told of something: from then on the connection is there. */
async function isListening(store: Store, other: Store): Promise<void> {
  const streamId = `Hello-${crypto.randomUUID()}`;
  await other.appendToStream(streamId, [event()]);
  await heard(store, streamId, 1);
}

test("what one device appends the others are told of at once, each way", async () => {
  const [a, b, c] = [
    await devices.open("a", { sync: LIVE }),
    await devices.open("b", { sync: LIVE }),
    await devices.open("c", { sync: LIVE }),
  ];
  await isListening(b, a);
  for (let version = 1; version <= 10; version++) {
    const [writer = a] = [[a, b, c][version % 3]];
    await writer.appendToStream("Note-1", [event(version)]);
    for (const device of [a, b, c]) await heard(device, "Note-1", version);
  }
  await expectAgreement("Note-1", connectStore({ url: devices.url, token: () => sign(60) }), a, b, c);
});

test("a device that follows a part of the store is told of that part", async () => {
  const a = await devices.open("a", { sync: LIVE });
  const b = await devices.open("b", { sync: { ...LIVE, filter: { categories: ["Note"] } } });
  await a.appendToStream("Note-1", [event(1)]);
  await heard(b, "Note-1", 1);
  await a.appendToStream("Other-1", [event(2)]);
  await a.appendToStream("Note-1", [event(3)]);
  await heard(b, "Note-1", 2);
  await expect(b.readStream("Other-1")).rejects.toMatchObject({ code: "stream-not-found" });
});

test("a device that comes to follow more is told of that too, while nothing happens in what it followed", async () => {
  const a = await devices.open("a", { sync: LIVE });
  const b = await devices.open("b", { sync: { ...LIVE, filter: { categories: ["Note"] } } });
  await a.appendToStream("Note-1", [event(1)]);
  await heard(b, "Note-1", 1);
  const wider = await devices.open("b", { sync: { ...LIVE, filter: { categories: ["Note", "Other"] } } });
  await expect.poll(() => wider.status.connection, SOON).toBe("online");
  for (let version = 1; version <= 3; version++) {
    await a.appendToStream("Other-1", [event(version)]);
    await heard(wider, "Other-1", version);
  }
});

test("a token that expires while the connection is open is followed by the next", async () => {
  let tokens = 0;
  const token = () => {
    tokens++;
    return sign(2);
  };
  const a = await devices.open("a", { sync: LIVE });
  const b = await devices.open("b", { sync: { ...LIVE, token } });
  const start = Date.now();
  for (let version = 1; Date.now() - start < 6_000; version++) {
    await a.appendToStream("Note-1", [event(version)]);
    await heard(b, "Note-1", version);
  }
  expect(tokens).toBeGreaterThan(3);
  expect(b.status.connection).toBe("online");
});

test("Deploy/reset under load: a connection that the edge drops is made again", async () => {
  const a = await devices.open("a", { sync: LIVE });
  const b = await devices.open("b", { sync: LIVE });
  for (let version = 1; version <= 3; version++) {
    await a.appendToStream("Note-1", [event(version)]);
    await heard(b, "Note-1", version);
    await edge.kill();
    await expect.poll(() => b.status.connection, SOON).toBe("offline");
    await edge.start();
  }
});

test("half-open: a connection on which nothing comes any more is noticed, and made again", { timeout: 90_000 }, async () => {
  const a = await devices.open("a", { sync: LIVE });
  const b = await devices.open("b", { sync: { ...LIVE, url: devices.url.replace(edge.url, proxy.url) } });
  await isListening(b, a);
  proxy.inject({ kind: "blackhole" });
  await a.appendToStream("Note-1", [event(1)]);
  // The edge has told of it, and the hole has swallowed that; what connects from now on is let through.
  await expect.poll(() => proxy.injected.blackhole, SOON).toBeGreaterThan(0);
  proxy.heal();
  await expect.poll(async () => (await b.readStream("Note-1").catch(() => ({ version: 0 }))).version, { timeout: 45_000 }).toBe(1);
  await a.appendToStream("Note-1", [event(2)]);
  await heard(b, "Note-1", 2);
});

test("a device whose edge is asked over HTTP alone follows all the same", async () => {
  const a = await devices.open("a", { sync: LIVE });
  const b = await devices.open("b", { sync: { ...LIVE, webSocket: false, pollEvery: 200 } });
  await a.appendToStream("Note-1", [event(1)]);
  await heard(b, "Note-1", 1);
});
