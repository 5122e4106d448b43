/** Conflict rules of a device that is behind the log: they are asked when it has caught up. */
import "fake-indexeddb/auto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ConfirmedEvent, type Contested, openStore, type Store } from "../../../client/index.ts";
import { type EdgeProcess, startEdge } from "../../support/edge.ts";
import { dataOf, event, expectAgreement, isPush, type Network, openTwoDevices } from "../sync/two-devices.ts";

let edge: EdgeProcess;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());

/** What the rule was asked; it puts one event in the commit's place. */
function ruling() {
  const asked: { mine: unknown; expectedVersion: unknown; theirs: unknown[] }[] = [];
  const onConflict = ({ events, expectedVersion, theirs }: Contested<ConfirmedEvent>) => {
    asked.push({ mine: events[0]?.data, expectedVersion, theirs: theirs.map(({ data }) => data) });
    return [event(`${events[0]?.data} instead`)];
  };
  return { asked, options: { onConflict, limits: { pageEvents: 2 } } };
}

/** The feed can be read up to this position only. */
function failAfter(network: Network, position: number): void {
  network.fault = (request) =>
    Number(new URL(request.url).searchParams.get("after")) >= position && !isPush(request)
      ? Promise.resolve(new Response("", { status: 503 }))
      : undefined;
}

/** Two events, in this order in the log. */
async function appendPage(store: Store, data: string): Promise<void> {
  for (const streamId of ["A-1", "A-2"]) {
    await store.appendToStream(streamId, [event(data)]);
    await store.sync();
  }
}

test("a commit that the edge has, appended again after a reset, is recorded once, though others' events come a page before it", async () => {
  const { asked, options } = ruling();
  const { network, a, b, atEdge, close } = await openTwoDevices(edge.url, options);
  for (const data of ["theirs 1", "theirs 2", "theirs 3"]) await b.appendToStream("A-1", [event(data)]);
  await b.appendToStream("A-2", [event()]);
  await b.sync();
  await a.sync();
  const mine = { ...event("mine"), id: crypto.randomUUID() };
  await a.appendToStream("A-1", [mine], { expectedVersion: 3 });
  network.fault = (request, send) => (isPush(request) ? send().then(() => Promise.reject(new TypeError("lost"))) : undefined);
  await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
  // After the reset the device knows two of theirs, and the app appends the commit on them.
  await a.reset({ keepPending: false });
  failAfter(network, 2);
  await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
  await a.appendToStream("A-1", [mine], { expectedVersion: 2 });
  network.fault = undefined;
  await a.sync();
  expect(asked).toEqual([]);
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(await dataOf(atEdge, "A-1")).toEqual(["theirs 1", "theirs 2", "theirs 3", "mine"]);
  await expectAgreement("A-1", atEdge, a);
  await close();
});

test("a conflict is asked about once, with all of theirs, however many pages they come in", async () => {
  const { asked, options } = ruling();
  const { a, b, atEdge, close } = await openTwoDevices(edge.url, options);
  await b.appendToStream("A-1", [event("first")]);
  await b.sync();
  await a.sync();
  for (const data of ["theirs 1", "theirs 2", "theirs 3"]) await appendPage(b, data);
  await a.appendToStream("A-1", [event("mine")], { expectedVersion: 1 });
  await a.sync();
  expect(asked).toEqual([{ mine: "mine", expectedVersion: 1, theirs: ["theirs 1", "theirs 2", "theirs 3"] }]);
  expect(await dataOf(atEdge, "A-1")).toEqual(["first", "theirs 1", "theirs 2", "theirs 3", "mine instead"]);
  await expectAgreement("A-1", atEdge, a);
  await close();
});

test("a tab that ends while its device is behind leaves the conflict to the next one, which asks with all of theirs", async () => {
  const { asked, options } = ruling();
  const { url, network, a, b, atEdge, close } = await openTwoDevices(edge.url, options);
  await b.appendToStream("A-1", [event("first")]);
  await b.sync();
  await a.sync();
  for (const data of ["theirs 1", "theirs 2"]) await appendPage(b, data);
  await a.appendToStream("A-1", [event("mine")], { expectedVersion: 1 });
  failAfter(network, 3);
  await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
  expect(await dataOf(a, "A-1")).toEqual(["first", "theirs 1", "mine"]);
  expect([asked, a.status.pending, a.status.conflicts]).toEqual([[], 1, 0]);
  await a.close();
  const next = await openStore({ ...options, name: `A-${new URL(url).pathname.split("/").at(-1)}`, sync: { url, automatic: false } });
  await next.sync();
  expect(asked).toEqual([{ mine: "mine", expectedVersion: 1, theirs: ["theirs 1", "theirs 2"] }]);
  expect(await dataOf(atEdge, "A-1")).toEqual(["first", "theirs 1", "theirs 2", "mine instead"]);
  await expectAgreement("A-1", atEdge, next);
  await Promise.all([next.close(), close()]);
});
