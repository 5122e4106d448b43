/** An edge behind nginx, in the forms that people give it: a device that syncs, its live connection, a `tail`, 3,000 events. */
import "fake-indexeddb/auto";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ConfirmedEvent, connectStore, type EdgeStore, PayloadTooLargeError, UnavailableError } from "../../client/http.ts";
import { openStore, type Store } from "../../client/index.ts";
import { findNginx } from "../../scripts/nginx.mjs";
import { SELF_SIGNED } from "../support/certificate.ts";
import { blocksOf } from "../support/document.ts";
import { type EdgeProcess, freePort, startEdge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { type Nginx, startNginx } from "../support/nginx.ts";

const EVENTS = 3_000;
/** How soon an event that is appended must be read, if the connection is live, and if it is polled for. Milliseconds. */
const LIVE = 5_000;
const POLLED = 30_000;

let edge: EdgeProcess;
let nginx: Nginx | undefined;
let direct: EdgeStore;
let path: string;
let stores: Store[];
let ending: AbortController;

beforeAll(async () => {
  edge = await startEdge();
  setDefaultCACertificates([...getCACertificates("default"), SELF_SIGNED.cert]);
});
afterAll(() => edge?.stop());
beforeEach(() => {
  path = `/v1/nginx-${crypto.randomUUID().slice(0, 8)}`;
  direct = connectStore({ url: edge.url + path });
  stores = [];
  ending = new AbortController();
});
afterEach(async () => {
  ending.abort();
  await Promise.all(stores.map((store) => store.close()));
  await nginx?.stop();
  nginx = undefined;
});

/** As most guides give it. */
const PASS = (url: string) => `proxy_pass ${url};`;
/** As nginx's documentation gives it for WebSockets: https://nginx.org/en/docs/http/websocket.html */
const UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

/** @param location a whole one, or what stands in it. @returns the address of the store behind it */
async function before(location: string): Promise<string> {
  const port = await freePort();
  const whole = location.startsWith("location") ? location : `location / { ${PASS("http://127.0.0.1:8787")} ${location} }`;
  nginx = await startNginx(`server { listen 127.0.0.1:${port}; ${whole.replace("http://127.0.0.1:8787", edge.url)} }`, [port]);
  return `http://127.0.0.1:${port}${path}`;
}

async function device(url: string, options: object = {}): Promise<Store> {
  const store = await openStore({ name: crypto.randomUUID(), sync: { url, pollEvery: 1_000, timeout: 10_000, ...options } });
  stores.push(store);
  return store;
}

const event = (data: unknown) => ({ type: "Noted", data });

async function appendAll(store: Store, count: number, data: (i: number) => unknown = (i) => i): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => store.appendToStream(`Note-${i % 10}`, [event(data(i))])));
}

/** The events of a commit that is as large as one may be. */
function largest() {
  const full = Array.from({ length: 16 }, () => event("y".repeat(65_000)));
  const withLast = (length: number) => [...full, event("y".repeat(length))];
  let [fits, tooLong] = [0, 65_000];
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (isAllowed(withLast(middle))) fits = middle;
    else tooLong = middle;
  }
  return withLast(fits);
}

function isAllowed(events: { type: string; data: unknown }[]): boolean {
  try {
    direct.prepare("Large-1", events);
    return true;
  } catch (error) {
    if (error instanceof PayloadTooLargeError) return false;
    throw error;
  }
}

async function readAll(store: { readAll(): AsyncIterable<ConfirmedEvent> }): Promise<unknown[]> {
  const read = [];
  for await (const { data } of store.readAll()) read.push(data);
  return read;
}

/** What a tail has read so far, by its arrival. */
function tailOf(url: string, after = 0): unknown[] {
  const read: unknown[] = [];
  const reading = async () => {
    for await (const { data } of connectStore({ url }).tail({ after, signal: ending.signal })) read.push(data);
  };
  reading().catch((error: unknown) => read.push(error));
  return read;
}

/** Resolves when something has come true, with the milliseconds that it took. */
async function soon(limit: number, isSo: () => boolean): Promise<void> {
  await expect.poll(isSo, { timeout: limit, interval: 20 }).toBe(true);
}

/** What the docs advise, in the place of `location / { … }`. */
const ADVISED = blocksOf("docs/operations.md").find(({ language }) => language === "nginx")?.code ?? "";

const FORMS: readonly (readonly [name: string, location: string, problem: string | null, tailed: number])[] = [
  ["as the docs advise", ADVISED, null, LIVE],
  ["that only passes on, so that no WebSocket gets through", "", "feed socket can't be opened", LIVE],
  ["that compresses", `${UPGRADE} gzip_types application/json text/event-stream; gzip_proxied any;`, null, POLLED],
  ["that buffers, whatever the edge asks", `${UPGRADE} proxy_ignore_headers X-Accel-Buffering; proxy_buffering on;`, null, POLLED],
];

describe.skipIf(findNginx() === undefined)("nginx", () => {
  test.each(FORMS)("%s: 3,000 events there and back, news, and a tail", { timeout: 180_000 }, async (_, location, problem, tailed) => {
    const url = await before(location);
    const tail = tailOf(url);
    const [one, two] = [await device(url), await device(url)];
    await appendAll(one, EVENTS);
    await expect.poll(() => one.status.pending, { timeout: 60_000 }).toBe(0);
    const all = await readAll(direct);
    expect(all.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: EVENTS }, (_, i) => i));
    await expect.poll(() => two.status.cursor?.position, { timeout: 60_000 }).toBe(EVENTS);
    for (const store of [one, two]) expect(await readAll(store)).toEqual(all);
    await expect.poll(() => tail.length, { timeout: 60_000 }).toBe(EVENTS);
    expect(tail).toEqual(all);

    if (problem === null) await soon(POLLED, () => two.status.problem === null);
    else await soon(POLLED, () => two.status.problem?.message.includes(problem) === true);
    for (const data of ["a", "b", "c"]) {
      await direct.appendToStream("Note-1", [event(data)]);
      await soon(LIVE, () => two.status.cursor?.position === two.status.head && two.status.head > EVENTS + "abc".indexOf(data));
      await soon(tailed, () => tail.includes(data));
    }
    expect(tail).toEqual([...all, "a", "b", "c"]);
    for (const store of [one, two]) expect(store.status).toMatchObject({ connection: "online", pending: 0, conflicts: 0 });
  });

  test("with its limit of 1 MB for bodies: what a device may record gets through, the largest commit too", {
    timeout: 120_000,
  }, async () => {
    const store = await device(await before(UPGRADE));
    await appendAll(store, 60, (i) => `${i} ${"x".repeat(60_000)}`);
    await store.appendToStream("Large-1", largest());
    await soon(POLLED, () => store.status.pending === 0);
    expect(store.status).toMatchObject({ connection: "online", conflicts: 0, problem: null });
    const read = (await readAll(direct)).map((data) => Number.parseInt(String(data), 10));
    expect(read.slice(0, 60).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i));
    expect(read).toHaveLength(60 + 17);
  });

  test("with a limit of 100 kB: pushes are halved until they get through, and a commit that can't waits alone", {
    timeout: 120_000,
  }, async () => {
    const answers: number[] = [];
    const counting: typeof fetch = async (...request) => {
      const answer = await fetch(...request);
      if (request[1]?.method === "POST") answers.push(answer.status);
      return answer;
    };
    const store = await device(await before(`${UPGRADE} client_max_body_size 100k;`), { fetch: counting });
    await store.appendToStream("Large-1", largest().slice(0, 2));
    await appendAll(store, 100, (i) => `${i} ${"x".repeat(5_000)}`);
    await soon(POLLED, () => store.status.pending === 1 && store.status.problem !== null);
    expect(store.status.problem?.message).toMatch(/commit to Large-1 does not get through.*413/);
    expect(store.status).toMatchObject({ connection: "online", conflicts: 0 });
    expect(answers).toContain(413);
    const read = (await readAll(direct)).map((data) => Number.parseInt(String(data), 10));
    expect(read.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test("that leads from http to https: nothing is parked, the status says where, and https works", { timeout: 120_000 }, async () => {
    const [port, tls] = [await freePort(), await freePort()];
    nginx = await startNginx(
      `server { listen 127.0.0.1:${port}; return 301 https://127.0.0.1:${tls}$request_uri; }
       server { listen 127.0.0.1:${tls} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem; location / { ${PASS(edge.url)} ${UPGRADE} } }`,
      [port, tls],
    );
    const secure = `https://127.0.0.1:${tls}`;
    const store = await device(`http://127.0.0.1:${port}${path}`);
    await store.appendToStream("Note-1", [event("a")]);
    await eventually(() => expect(store.status.problem?.message).toContain(`leads to ${secure}`));
    await expect(store.sync()).rejects.toThrow(secure);
    expect(store.status).toMatchObject({ pending: 1, conflicts: 0 });
    const caller = connectStore({ url: `http://127.0.0.1:${port}${path}`, retries: 0 });
    await expect(caller.appendToStream("Note-2", [event("b")])).rejects.toBeInstanceOf(UnavailableError);
    expect(await readAll(direct)).toEqual([]);

    const tail = tailOf(secure + path);
    const good = await device(secure + path);
    await good.appendToStream("Note-1", [event("c")]);
    await soon(POLLED, () => good.status.pending === 0 && good.status.problem === null);
    await direct.appendToStream("Note-1", [event("d")]);
    await soon(LIVE, () => good.status.head === 2);
    await soon(LIVE, () => tail.length === 2);
    expect(tail).toEqual(["c", "d"]);
  });
});
