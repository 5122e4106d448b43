/** Sync against a real edge, over a network that fails when the test says so. */
import "fake-indexeddb/auto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../../client/http.ts";
import { LogMismatchError, openStore, type StoreOptions } from "../../../client/index.ts";
import { type EdgeProcess, startEdge } from "../../support/edge.ts";
import { problem } from "../../support/problem.ts";
import { dataOf, event, expectAgreement, isPush, openTwoDevices } from "./two-devices.ts";

let edge: EdgeProcess;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());

const twoDevices = (options: Partial<StoreOptions> = {}) => openTwoDevices(edge.url, options);

test("accepted push, lost reply: sent again after others appended, it stands once, where it stood", async () => {
  const { network, a, b, atEdge, close } = await twoDevices();
  await a.appendToStream("A-1", [event("a1"), event("a2")], { expectedVersion: "no-stream" });
  network.fault = (request, send) => (isPush(request) ? send().then(() => Promise.reject(new TypeError("connection reset"))) : undefined);
  await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
  expect(a.status).toMatchObject({ connection: "offline", pending: 1, conflicts: 0 });
  await b.sync();
  await b.appendToStream("A-1", [event("b1")], { expectedVersion: 2 });
  await b.sync();
  network.fault = undefined;
  await a.sync();
  await b.sync();
  expect(a.status).toMatchObject({ connection: "online", pending: 0, conflicts: 0 });
  expect(await dataOf(atEdge, "A-1")).toEqual(["a1", "a2", "b1"]);
  await expectAgreement("A-1", atEdge, a, b);
  await close();
});

test("batch too big: a push that is refused as too large is halved until it fits, and nothing is parked", async () => {
  const { network, a, b, atEdge, close } = await twoDevices();
  for (let i = 0; i < 20; i++) await a.appendToStream("A-1", [event(i)], { expectedVersion: i });
  // As a proxy refuses: without a problem document.
  network.fault = (request) =>
    isPush(request) && (network.pushes.at(-1)?.commits ?? 0) > 3 ? Promise.resolve(new Response("too large", { status: 413 })) : undefined;
  await a.sync();
  await b.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(network.pushes.slice(0, 4).map(({ commits }) => commits)).toEqual([20, 10, 5, 3]);
  expect(await dataOf(atEdge, "A-1")).toEqual(Array.from({ length: 20 }, (_, i) => i));
  await expectAgreement("A-1", atEdge, a, b);
  await close();
});

test("poison commit: one that the edge always refuses is parked with its reason, and other streams go on", async () => {
  const { network, a, atEdge, close } = await twoDevices();
  const id = crypto.randomUUID();
  await atEdge.appendToStream("A-1", [{ ...event("theirs"), id }]);
  await a.appendToStream("A-1", [{ ...event("mine"), id }]);
  await a.appendToStream("A-1", [event("behind it")]);
  await a.appendToStream("B-1", [event("large")]);
  await a.appendToStream("C-1", [event("fine")]);
  network.fault = (request) => {
    if (!isPush(request)) return undefined;
    return request
      .clone()
      .text()
      .then((text) => (text.includes('"large"') ? problem("payload-too-large") : fetch(request)));
  };
  await a.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 3 });
  expect(a.conflicts().map(({ streamId, code, events }) => [streamId, code, events[0]?.data])).toEqual([
    ["A-1", "event-id-reused", "mine"],
    ["A-1", "event-id-reused", "behind it"],
    ["B-1", "payload-too-large", "large"],
  ]);
  expect(await dataOf(atEdge, "C-1")).toEqual(["fine"]);
  expect(await dataOf(a, "A-1")).toEqual(["theirs"]);
  await expect(atEdge.readStream("B-1")).rejects.toMatchObject({ code: "stream-not-found" });
  const [first, second, third] = a.conflicts();
  network.fault = undefined;
  await first?.discard();
  await second?.rebase();
  await third?.rebase();
  await a.sync();
  expect(await dataOf(atEdge, "A-1")).toEqual(["theirs", "behind it"]);
  expect(await dataOf(atEdge, "B-1")).toEqual(["large"]);
  await close();
});

test("the edge always fails on one commit: those of other streams arrive after some calls of sync()", async () => {
  const { network, a, atEdge, close } = await twoDevices();
  await a.appendToStream("A-1", [event("fails")]);
  await a.appendToStream("B-1", [event("fine")]);
  network.fault = async (request, send) =>
    isPush(request) && (await request.clone().text()).includes('"fails"') ? problem("unavailable") : send();
  for (let calls = 0; calls < 5; calls++) await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
  expect(await dataOf(atEdge, "B-1")).toEqual(["fine"]);
  network.fault = undefined;
  await a.sync();
  expect(a.status).toMatchObject({ connection: "online", pending: 0, conflicts: 0 });
  expect(await dataOf(atEdge, "A-1")).toEqual(["fails"]);
  await close();
});

test("a token that the edge no longer takes stops sync and nothing else; with a new one it goes on", async () => {
  const { network, a, atEdge, close } = await twoDevices();
  network.fault = () => Promise.resolve(problem("unauthenticated"));
  await a.appendToStream("A-1", [event(1)]);
  await expect(a.sync()).rejects.toMatchObject({ code: "unauthenticated" });
  expect(a.status).toMatchObject({ connection: "unauthorized", pending: 1 });
  await a.appendToStream("A-1", [event(2)]);
  network.fault = undefined;
  await a.sync();
  expect(a.status).toMatchObject({ connection: "online", pending: 0 });
  expect(await dataOf(atEdge, "A-1")).toEqual([1, 2]);
  await close();
});

test("store wiped: another history is neither read nor written to, whenever it takes the place of the one that is followed", async () => {
  for (const when of ["before the pull", "before the push"] as const) {
    const { url, network, a, close } = await twoDevices();
    await a.appendToStream("A-1", [event("old")]);
    await a.sync();
    const { cursor } = a.status;
    await a.appendToStream("A-1", [event("new")]);
    const other = `${edge.url}/v1/${crypto.randomUUID()}`;
    await connectStore({ url: other }).appendToStream("B-1", [event("a stranger's")]);
    network.fault = (request) => {
      if (when === "before the push" && !isPush(request)) return undefined;
      return fetch(new Request(request.url.replace(url, other), request));
    };
    await expect(a.sync()).rejects.toBeInstanceOf(LogMismatchError);
    expect(a.status).toMatchObject({ connection: "diverged", pending: 1, conflicts: 0, cursor });
    expect(await dataOf(a, "A-1")).toEqual(["old", "new"]);
    await expect(a.readStream("B-1")).rejects.toMatchObject({ code: "stream-not-found" });
    await expect(connectStore({ url: other }).readStream("A-1")).rejects.toMatchObject({ code: "stream-not-found" });
    await close();
  }
});

test("store rolled back: an edge with less history than was seen stops sync, and nothing is lost", async () => {
  const { network, a, close } = await twoDevices();
  await a.appendToStream("A-1", [event(1), event(2)]);
  await a.sync();
  await a.appendToStream("A-1", [event(3)]);
  const { cursor } = a.status;
  const ahead = () => problem("position-ahead", "Only 1 is here.", { log: cursor?.log, head: 1 });
  network.fault = (request) => (isPush(request) ? undefined : Promise.resolve(ahead()));
  await expect(a.sync()).rejects.toMatchObject({ code: "position-ahead", details: { head: 1 } });
  expect(a.status).toMatchObject({ connection: "diverged", pending: 1, cursor });
  expect(network.pushes).toHaveLength(1);
  expect(await dataOf(a, "A-1")).toEqual([1, 2, 3]);
  await close();
});

test("pages that end within commits settle them bit by bit, and what is appended meanwhile stands behind", async () => {
  const { a, b, atEdge, close } = await twoDevices({ limits: { pageEvents: 3 } });
  await a.appendToStream(
    "A-1",
    Array.from({ length: 10 }, (_, i) => event(i)),
    { expectedVersion: "no-stream" },
  );
  await a.appendToStream("B-1", [event("b")]);
  const syncing = a.sync();
  await a.appendToStream("A-1", [event(10)], { expectedVersion: 10 });
  await syncing;
  await a.sync();
  await b.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(await dataOf(atEdge, "A-1")).toEqual(Array.from({ length: 11 }, (_, i) => i));
  await expectAgreement("A-1", atEdge, a, b);
  await close();
});

test("appending goes on while the edge can't be reached, and a push that broke off changes nothing", async () => {
  const { network, a, b, atEdge, close } = await twoDevices();
  network.fault = () => Promise.reject(new TypeError("no network"));
  for (let round = 0; round < 3; round++) {
    await a.appendToStream("A-1", [event(round)], { expectedVersion: round });
    await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
    expect(a.status).toMatchObject({ connection: "offline", pending: round + 1 });
  }
  // Answers that are none: a proxy's page, half a document.
  for (const answer of ["<html>", '{"log":']) {
    network.fault = () => Promise.resolve(new Response(answer));
    await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
  }
  network.fault = undefined;
  await Promise.all([a.sync(), a.sync(), a.sync()]);
  await b.sync();
  expect(await dataOf(b, "A-1")).toEqual([0, 1, 2]);
  await expectAgreement("A-1", atEdge, a, b);
  await close();
});

test("closing ends a sync under way at once, and what was appended is there when the store is opened again", async () => {
  const id = crypto.randomUUID();
  const url = `${edge.url}/v1/${id}`;
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  // A network that takes requests and never answers, but for the word of the one who asked.
  const silent: typeof fetch = (_, init) => {
    asked();
    return new Promise((_resolve, reject) => init?.signal?.addEventListener("abort", () => reject(init.signal?.reason)));
  };
  const store = await openStore({ name: id, sync: { url, fetch: silent } });
  await store.appendToStream("A-1", [event(1)]);
  const syncing = store.sync();
  await isAsked;
  await Promise.all([store.close(), expect(syncing).rejects.toMatchObject({ code: "store-closed" })]);
  const again = await openStore({ name: id, sync: { url, automatic: false } });
  expect(again.status.pending).toBe(1);
  await again.sync();
  expect(await dataOf(connectStore({ url }), "A-1")).toEqual([1]);
  await again.close();
});

test("an append that is under way when its store is closed is told that it is recorded", async () => {
  const { a, b, url, close } = await twoDevices();
  const automatic = await openStore({ name: crypto.randomUUID(), sync: { url } });
  for (const store of [a, automatic]) {
    const appending = store.appendToStream("Note-1", [{ type: "Noted", data: null }]);
    await store.close();
    expect(await appending).toMatchObject({ version: 1, pending: true });
    await expect(store.appendToStream("Note-1", [{ type: "Noted", data: null }])).rejects.toMatchObject({ code: "store-closed" });
  }
  await b.close();
  await close();
});

test("site data that is cleared while a store is open: what is appended then waits for the edge as ever, and all comes back", async () => {
  const { url, close } = await twoDevices();
  const name = crypto.randomUUID();
  const store = await openStore({ name, sync: { url, automatic: false } });
  await store.appendToStream("Note-1", [{ type: "Noted", data: "before" }]);
  await store.sync();
  const deleting = indexedDB.deleteDatabase(name);
  await new Promise((resolve) => deleting.addEventListener("success", resolve));
  expect(await store.appendToStream("Note-2", [{ type: "Noted", data: "behind" }])).toMatchObject({ pending: true, position: null });
  await store.sync();
  expect(store.status).toMatchObject({ pending: 0, conflicts: 0, problem: null });
  for (const held of [store, connectStore({ url })]) {
    expect((await held.readStream("Note-1")).events.map(({ data }) => data)).toEqual(["before"]);
    expect((await held.readStream("Note-2")).events.map(({ data }) => data)).toEqual(["behind"]);
  }
  await store.close();
  await close();
});

test("pending is counted right, whatever is appended while sync counts", async () => {
  const { a, b, close } = await twoDevices();
  const appends: Promise<unknown>[] = [];
  const syncing = a.sync();
  for (let i = 0; i < 40; i++) {
    appends.push(a.appendToStream(`A-${i % 7}`, [event(i)]));
    if (i % 4 === 0) await appends.at(-1);
  }
  await Promise.all([...appends, syncing]);
  await a.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0, head: 40 });
  await b.sync();
  expect(b.status.cursor).toEqual(a.status.cursor);
  await close();
});

test("a tab decides on what another tab of the device has applied, parked and rebased", async () => {
  const id = crypto.randomUUID();
  const url = `${edge.url}/v1/${id}`;
  const open = () => openStore({ name: `device-${id}`, sync: { url, automatic: false } });
  const [tab, syncing] = [await open(), await open()];
  const atEdge = connectStore({ url });
  /** Where the tab, which was told of nothing, says that the stream is; nothing is appended. */
  const versionIn = async () => {
    const refused = await tab.appendToStream("A-1", [event("never")], { expectedVersion: 999 }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "version-conflict" });
    return (refused as { actualVersion: number }).actualVersion;
  };
  const append = (data: string, expectedVersion: number) => tab.appendToStream("A-1", [event(data)], { expectedVersion });

  await append("mine 1", 0);
  await append("mine 2", 1);
  await syncing.sync();
  // Settled: the version is the same, the commits are elsewhere.
  expect(await append("mine 3", 2)).toMatchObject({ version: 3 });
  await syncing.sync();

  // Applied: others' events came first.
  await atEdge.appendToStream("A-1", [event("theirs 4")], { expectedVersion: 3 });
  await syncing.sync();
  await expect(append("mine too early", 3)).rejects.toMatchObject({ code: "version-conflict", actualVersion: 4 });
  expect(await append("mine 5", 4)).toMatchObject({ version: 5 });

  // Parked: what stood on version 5 here stands there no more.
  await atEdge.appendToStream("A-1", [event("theirs 5"), event("theirs 6")], { expectedVersion: 4 });
  await syncing.sync();
  expect(syncing.status.conflicts).toBe(1);
  expect(await versionIn()).toBe(6);

  // Rebased: it stands behind theirs.
  await syncing.conflicts()[0]?.rebase();
  await expect(append("mine too early", 6)).rejects.toMatchObject({ actualVersion: 7 });
  expect(await append("mine 8", 7)).toMatchObject({ version: 8 });
  await syncing.sync();
  expect(await dataOf(atEdge, "A-1")).toEqual(["mine 1", "mine 2", "mine 3", "theirs 4", "theirs 5", "theirs 6", "mine 5", "mine 8"]);
  await expectAgreement("A-1", atEdge, tab, syncing);
  await Promise.all([tab.close(), syncing.close()]);
});

test("half-open: neither a network nor a token that never answers holds up the next try", async () => {
  const id = crypto.randomUUID();
  const url = `${edge.url}/v1/${id}`;
  let silent: "network" | "token" | undefined = "network";
  const never = new Promise<never>(() => {});
  const store = await openStore({
    name: id,
    sync: {
      url,
      timeout: 300,
      fetch: (...request) => (silent === "network" ? never : fetch(...request)),
      token: () => (silent === "token" ? never : "a-token"),
    },
  });
  await store.appendToStream("A-1", [event(1)]);
  for (silent of ["network", "token"] as const) {
    await expect(store.sync()).rejects.toMatchObject({ code: "unavailable" });
    await expect.poll(() => store.status).toMatchObject({ connection: "offline", pending: 1 });
  }
  silent = undefined;
  await store.sync();
  expect(store.status).toMatchObject({ connection: "online", pending: 0 });
  await store.close();
});

test("a token that expired on the way is asked for anew, once, before anybody is told", async () => {
  const { url, close } = await twoDevices();
  const tokens = ["old", "new", "newer"];
  const used: string[] = [];
  const strict: typeof fetch = (input, init) => {
    const token = new Headers(init?.headers).get("authorization") ?? "";
    used.push(token);
    return token === "Bearer old" ? Promise.resolve(problem("unauthenticated")) : fetch(input, init);
  };
  const store = await openStore({
    name: crypto.randomUUID(),
    person: "ann",
    sync: { url, automatic: false, fetch: strict, token: () => tokens.shift() ?? "newest" },
  });
  await store.sync();
  expect(used[0]).toBe("Bearer old");
  expect(used[1]).not.toBe("Bearer old");
  expect(store.status).toMatchObject({ connection: "online", problem: null });
  await store.close();
  await close();
});

test("a parked commit that the app appends again is parked no more; with other events under its ids it is refused", async () => {
  const { a, b, atEdge, close } = await twoDevices();
  const id = crypto.randomUUID();
  await b.appendToStream("A-1", [event("theirs")], { expectedVersion: "no-stream" });
  await b.sync();
  await a.appendToStream("A-1", [{ ...event("mine"), id }], { expectedVersion: "no-stream" });
  await a.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 1 });
  await expect(a.appendToStream("A-1", [{ ...event("other"), id }], { expectedVersion: 1 })).rejects.toMatchObject({
    code: "event-id-reused",
  });
  await a.appendToStream("A-1", [{ ...event("mine"), id }], { expectedVersion: 1 });
  await expect.poll(() => a.status).toMatchObject({ pending: 1, conflicts: 0 });
  await a.sync();
  expect(await dataOf(atEdge, "A-1")).toEqual(["theirs", "mine"]);
  await close();
});

test("a parked commit that the edge has taken after all is parked no more", async () => {
  const { network, a, atEdge, close } = await twoDevices();
  // An edge that refuses what it has recorded.
  network.fault = (request, send) => (isPush(request) ? send().then(() => problem("payload-too-large")) : undefined);
  await a.appendToStream("A-1", [event("one")]);
  await a.sync();
  expect(await dataOf(atEdge, "A-1")).toEqual(["one"]);
  network.fault = undefined;
  await a.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(await dataOf(a, "A-1")).toEqual(["one"]);
  await close();
});
