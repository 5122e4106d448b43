/** Devices and callers behind proxies, firewalls and redirects, over real HTTP: only the edge's own word judges a commit. */
import "fake-indexeddb/auto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { connectStore, UnavailableError } from "../../../client/http.ts";
import { openStore, type Store } from "../../../client/index.ts";
import { type EdgeProcess, startEdge } from "../../support/edge.ts";
import { eventually } from "../../support/eventually.ts";
import { type Front, startFront } from "../../support/front.ts";

const PAGE = "<!doctype html><title>Not you</title>";

let edge: EdgeProcess;
let front: Front;
let elsewhere: Front;
let store: Store;
let url: string;

const html = (status: number, headers: Record<string, string> = {}) =>
  new Response(PAGE, { status, headers: { "content-type": "text/html", ...headers } });
const isPush = (request: Request) => request.method === "POST";
const event = (data: string) => [{ type: "Noted", data }];
const atEdge = async (streamId: string) =>
  (await connectStore({ url: `${elsewhere.url}${new URL(url).pathname}` }).readStream(streamId)).events.map(({ data }) => data);

beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());
beforeEach(async () => {
  const forward = async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    const { method, headers } = request;
    const answer = await fetch(edge.url + pathname + search, { method, headers, ...(isPush(request) && { body: await request.text() }) });
    // Its text was decoded on the way.
    return new Response(await answer.text(), {
      status: answer.status,
      headers: { "content-type": answer.headers.get("content-type") ?? "" },
    });
  };
  [front, elsewhere] = await Promise.all([startFront(forward), startFront(forward)]);
  const name = crypto.randomUUID();
  url = `${front.url}/v1/${name}`;
  store = await openStore({ name, sync: { url, webSocket: false, pollEvery: 100 } });
});
afterEach(async () => {
  await store.close();
  await Promise.all([front.close(), elsewhere.close()]);
});

async function expectAllThere(data: Record<string, string[]>): Promise<void> {
  await eventually(() => expect(store.status).toMatchObject({ connection: "online", pending: 0, conflicts: 0, problem: null }));
  for (const [streamId, expected] of Object.entries(data)) expect(await atEdge(streamId)).toEqual(expected);
}

test.each([301, 302, 303])(
  "an address that leads elsewhere with %i: nothing is parked, and the status says where it leads",
  async (status) => {
    await eventually(() => expect(store.status.connection).toBe("online"));
    front.answer = (request) => Response.redirect(request.url.replace(front.url, elsewhere.url), status);
    await store.appendToStream("Note-1", event("a"));
    await eventually(() => expect(store.status.problem?.message).toContain(`leads to ${elsewhere.url}`));
    await expect(store.sync()).rejects.toThrow(elsewhere.url);
    expect(store.status).toMatchObject({ pending: 1, conflicts: 0 });
    const caller = connectStore({ url, retries: 0 });
    await expect(caller.appendToStream("Note-2", event("b"))).rejects.toThrow(UnavailableError);
    await expect(caller.appendToStream("Note-2", event("b"))).rejects.toThrow(`leads to ${elsewhere.url}`);
    front.answer = (request, forward) => forward(request);
    await expectAllThere({ "Note-1": ["a"] });
  },
);

test.each([307, 308])("a redirect with %i keeps the request, and is followed", async (status) => {
  front.answer = (request) => Response.redirect(request.url.replace(front.url, elsewhere.url), status);
  await store.appendToStream("Note-1", event("a"));
  await expectAllThere({ "Note-1": ["a"] });
});

test.each([400, 413])("a proxy that answers pushes with a page and %i for a while: everything is pushed afterwards", async (status) => {
  let pages = 0;
  front.answer = (request, forward) => {
    if (!isPush(request) || pages === 6) return forward(request);
    pages++;
    return html(status);
  };
  for (const data of ["a", "b", "c", "d"]) await store.appendToStream("Note-1", event(data));
  await store.appendToStream("Note-2", event("e"));
  await expectAllThere({ "Note-1": ["a", "b", "c", "d"], "Note-2": ["e"] });
  expect(pages).toBe(6);
});

test.each([400, 401, 403, 406, 413, 429])(
  "a firewall that refuses one body with %i for ever: its stream waits with the reason, others go on, and nobody is logged out",
  async (status) => {
    const connections = new Set<string>();
    store.liveStatus().subscribe(() => connections.add(store.status.connection));
    front.answer = async (request, forward) => ((await request.clone().text()).includes("drop table") ? html(status) : forward(request));
    for (const data of ["a", "select * from users; drop table", "b"]) await store.appendToStream("Note-1", event(data));
    for (const streamId of ["Note-2", "Note-3"]) await store.appendToStream(streamId, event(streamId));
    await eventually(() => expect(store.status).toMatchObject({ pending: 2, conflicts: 0 }));
    expect([await atEdge("Note-1"), await atEdge("Note-2"), await atEdge("Note-3")]).toEqual([["a"], ["Note-2"], ["Note-3"]]);
    await eventually(() => expect(store.status.problem?.message).toContain("A commit to Note-1 does not get through"));
    expect(store.status.problem?.message).toContain(`HTTP status ${status}`);
    await store.appendToStream("Note-2", event("later"));
    await eventually(async () => expect(await atEdge("Note-2")).toEqual(["Note-2", "later"]));
    expect(connections).not.toContain("unauthorized");
    front.answer = (request, forward) => forward(request);
    await expectAllThere({ "Note-1": ["a", "select * from users; drop table", "b"] });
  },
);

test("a firewall that swallows one body for ever: the device stays online and says why its stream waits, and others go on", async () => {
  await store.close();
  store = await openStore({ name: crypto.randomUUID(), sync: { url, webSocket: false, pollEvery: 100, timeout: 1_500 } });
  await eventually(() => expect(store.status.connection).toBe("online"));
  let swallowed = 0;
  front.answer = async (request, forward) => {
    if (!(await request.clone().text()).includes("drop table")) return forward(request);
    swallowed++;
    return new Promise(() => undefined);
  };
  const seen = new Set<string>();
  store.liveStatus().subscribe(() => seen.add(store.status.connection));
  for (const data of ["a", "drop table", "b"]) await store.appendToStream("Note-1", event(data));
  await store.appendToStream("Note-2", event("c"));
  await eventually(() => expect(store.status.problem?.message).toContain("A commit to Note-1 does not get through"));
  await eventually(async () => expect(await atEdge("Note-2")).toEqual(["c"]));
  const before = swallowed;
  await eventually(() => expect(swallowed).toBeGreaterThan(before + 1));
  expect(store.status).toMatchObject({ pending: 2, conflicts: 0 });
  expect([...seen]).toEqual(["online"]);
});

test("a proxy with a limit for bodies: larger pushes are halved until they get through", async () => {
  const sizes: number[] = [];
  front.answer = async (request, forward) => {
    const { length } = await request.clone().text();
    if (length > 2_000) return html(413);
    if (isPush(request)) sizes.push(length);
    return forward(request);
  };
  const data = Array.from({ length: 40 }, (_, i) => `${i} ${"x".repeat(200)}`);
  await Promise.all(data.map((text) => store.appendToStream("Note-1", event(text))));
  await expectAllThere({ "Note-1": data });
  // More than one commit in a push, most of the time.
  expect(sizes.length).toBeLessThan(30);
});

test.each([
  ["cut", (text: string) => new Response(text.slice(0, -20), { headers: { "content-type": "application/json" } })],
  ["that can't be decoded", (text: string) => new Response(text, { headers: { "content-encoding": "gzip" } })],
])("answers %s if they are long: smaller pages are requested until they get through", async (_, spoil) => {
  await store.close();
  const events = Array.from({ length: 60 }, (__, i) => ({ type: "Noted", data: `${i}` }));
  await connectStore({ url }).appendToStream("Note-1", events);
  front.answer = async (request, forward) => {
    const answer = await forward(request);
    const text = await answer.clone().text();
    return text.length > 3_000 ? spoil(text) : answer;
  };
  store = await openStore({ name: crypto.randomUUID(), sync: { url, webSocket: false, pollEvery: 100 } });
  await eventually(() => expect(store.status).toMatchObject({ connection: "online", head: 60, cursor: { position: 60 } }));
});

test("one outage has one problem: the status does not forget it while sync tries again", async () => {
  await eventually(() => expect(store.status.connection).toBe("online"));
  front.answer = () => html(502);
  await eventually(() => expect(store.status).toMatchObject({ connection: "offline", problem: { code: "unavailable" } }));
  const seen = new Set<string>();
  const end = store.liveStatus().subscribe(() => seen.add(`${store.status.connection} ${store.status.problem?.code}`));
  let requests = 0;
  front.answer = () => {
    requests++;
    return html(502);
  };
  await store.appendToStream("Note-1", event("a"));
  await eventually(() => expect(requests).toBeGreaterThan(4));
  end();
  expect([...seen]).toEqual(["offline unavailable"]);
});
