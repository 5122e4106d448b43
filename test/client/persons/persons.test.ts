/** Several people on one device: nothing is recorded in the name of a person who did not make it. */
import "fake-indexeddb/auto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { pause } from "../../../client/tools/pause.ts";
import type { EdgeProcess } from "../../support/edge.ts";
import { eventually } from "../../support/eventually.ts";
import { signToken } from "../../support/tokens.ts";
import { all, type Device, databaseNames, device, event, startJwtEdge } from "./people.ts";

let edge: EdgeProcess;
let here: Device;
let ann: string;
let bob: string;
beforeAll(async () => {
  edge = await startJwtEdge();
  [ann, bob] = await Promise.all([signToken({ sub: "ann" }), signToken({ sub: "bob" })]);
});
afterAll(() => edge.stop());
beforeEach(() => {
  here = device(edge.url);
});
afterEach(() => here.close());

test("offline events of one person are not sent with another's token, and are sent with their own", async () => {
  here.isOnline = false;
  let token = ann;
  const store = await here.open({ sync: { token: () => token, automatic: false } });
  await store.appendToStream("Note-1", [event("of ann")]);
  await expect(store.sync()).rejects.toMatchObject({ code: "unavailable" });
  here.isOnline = true;
  token = bob;
  await expect(store.sync()).rejects.toMatchObject({ code: "owner-mismatch", field: "person", owner: "ann", given: "bob" });
  expect(store.status).toMatchObject({ connection: "unauthorized", pending: 1, problem: { code: "owner-mismatch" } });
  expect(store.status.problem?.message).toContain("belongs to ann, not to bob: sign in as ann");
  expect(here.requests).toBe(0);
  token = ann;
  await store.sync();
  expect(store.status).toMatchObject({ connection: "online", pending: 0, problem: null });
  expect(await here.recorded()).toEqual(['ann: "of ann"']);
});

test("sync waits for a slow token before it says that the store is another's", async () => {
  let person = bob;
  const token = async () => {
    const answer = person;
    // Longer than an append waits.
    await pause(300, undefined);
    return answer;
  };
  const store = await here.open({ person: "ann", sync: { token, automatic: false } });
  await expect(store.sync()).rejects.toMatchObject({ code: "owner-mismatch", owner: "ann", given: "bob" });
  person = ann;
  await store.sync();
  expect(store.status).toMatchObject({ connection: "online", problem: null });
});

test("a device whose person was offline from the first append to the last: the next person does not send it", async () => {
  const first = await here.open({ sync: { token: () => ann, automatic: false } });
  await first.appendToStream("Note-1", [event("of ann")]);
  await first.close();
  const second = await here.open({ sync: { token: async () => bob, automatic: false } });
  await expect(second.sync()).rejects.toMatchObject({ code: "owner-mismatch", owner: "ann", given: "bob" });
  expect(second.status.pending).toBe(1);
  expect(await here.recorded()).toEqual([]);
});

test("who is not the owner can neither append nor read", async () => {
  const first = await here.open({ sync: { token: () => ann } });
  await first.appendToStream("Note-1", [event("of ann")]);
  await first.sync();
  const second = await here.open({ sync: { token: async () => bob } });
  const refused = { code: "owner-mismatch", owner: "ann", given: "bob" };
  await expect(second.appendToStream("Note-1", [event("of bob")])).rejects.toMatchObject(refused);
  await expect(second.readStream("Note-1")).rejects.toMatchObject(refused);
  await expect(all(second.readAll())).rejects.toMatchObject(refused);
  await expect(all(second.export())).rejects.toMatchObject(refused);
  await expect(second.sync()).rejects.toMatchObject(refused);
  await expect(second.signOut()).rejects.toMatchObject(refused);
  expect(second.status).toMatchObject({ connection: "unauthorized", problem: refused });
  expect(first.status).toMatchObject({ connection: "online", problem: null });
  expect(await here.recorded()).toEqual(['ann: "of ann"']);
});

test("the token changes its person between two appends: the second append is refused", async () => {
  let token = ann;
  here.isOnline = false;
  const store = await here.open({ sync: { token: () => token } });
  await store.appendToStream("Note-1", [event("of ann")]);
  token = bob;
  await expect(store.appendToStream("Note-1", [event("of bob")])).rejects.toMatchObject({ code: "owner-mismatch" });
  here.isOnline = true;
  token = ann;
  // Nobody calls `sync()`: the token of the right person is enough.
  await eventually(() => expect(store.status).toMatchObject({ connection: "online", pending: 0, problem: null }));
  expect(await here.recorded()).toEqual(['ann: "of ann"']);
});

test("the token changes its person while an append is under way: neither is recorded in the other's name", async () => {
  let token = ann;
  const asked = Promise.withResolvers<void>();
  const getToken = async () => {
    const given = token;
    asked.resolve();
    return given;
  };
  const store = await here.open({ sync: { token: getToken, automatic: false } });
  // An append waits a tenth of a second for the token, which a busy machine may let pass. Here it does not pass.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const appends = [store.appendToStream("Note-1", [event("of ann")])];
  await asked.promise;
  token = bob;
  appends.push(store.appendToStream("Note-1", [event("of bob")]));
  const outcomes = await Promise.allSettled(appends).finally(() => vi.useRealTimers());
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  // Which of them the store belongs to is not said. It belongs to one at most.
  expect(refused.length).toBeGreaterThan(0);
  for (const { reason } of refused) expect(reason).toMatchObject({ code: "owner-mismatch" });
  for (const own of [ann, bob]) {
    token = own;
    await store.sync().catch((error: { code?: string }) => expect(error.code).toBe("owner-mismatch"));
  }
  const expected = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [['ann: "of ann"', 'bob: "of bob"'][i]] : []));
  expect(await here.recorded()).toEqual(expected);
});

test("a tab with another person's token does not lead: the tab of the owner syncs", async () => {
  let token = ann;
  const turned = await here.open({ sync: { token: () => token, pollEvery: 20 } });
  await eventually(() => expect(turned.status.connection).toBe("online"));
  const owner = await here.open({ sync: { token: () => ann, pollEvery: 20 } });
  token = bob;
  await eventually(() => expect(turned.status).toMatchObject({ connection: "unauthorized", problem: { code: "owner-mismatch" } }));
  await owner.appendToStream("Note-1", [event("of ann")]);
  await eventually(() => expect(owner.status).toMatchObject({ connection: "online", pending: 0, head: 1 }));
  expect(turned.status.connection).toBe("unauthorized");
  token = ann;
  await turned.sync();
  await eventually(() => expect(turned.status).toMatchObject({ connection: "online", problem: null }));
  expect(await here.recorded()).toEqual(['ann: "of ann"']);
});

test("each person has a database of their own: two people at one time, each in their own name", async () => {
  const anns = await here.open({ person: "ann", sync: { token: () => ann } });
  const bobs = await here.open({ person: "bob", sync: { token: () => bob } });
  await anns.appendToStream("Note-1", [event("of ann")], { expectedVersion: "no-stream" });
  await anns.sync();
  await expect(bobs.readStream("Note-2")).rejects.toMatchObject({ code: "stream-not-found" });
  await bobs.appendToStream("Note-2", [event("of bob")]);
  await bobs.sync();
  expect(await here.recorded()).toEqual(['ann: "of ann"', 'bob: "of bob"']);
  expect((await databaseNames()).filter((name) => name.startsWith(here.name))).toEqual([`${here.name}~ann`, `${here.name}~bob`]);
});

test("a token that is another's than `person` sends nothing", async () => {
  const store = await here.open({ person: "ann", sync: { token: () => bob, automatic: false } });
  await store.appendToStream("Note-1", [event("of ann")]);
  await expect(store.sync()).rejects.toMatchObject({ code: "owner-mismatch", owner: "ann", given: "bob" });
  expect(store.status).toMatchObject({ connection: "unauthorized", pending: 1 });
  expect(here.requests).toBe(0);
  await expect(store.appendToStream("Note-1", [event("of whom?")])).rejects.toMatchObject({ code: "owner-mismatch" });
});

test("`person` is the person's whose token comes late: it goes on with the right one, without another call", async () => {
  let token = bob;
  const store = await here.open({ person: "ann", sync: { token: () => token } });
  await eventually(() => expect(store.status).toMatchObject({ connection: "unauthorized", problem: { owner: "ann", given: "bob" } }));
  token = ann;
  await store.appendToStream("Note-1", [event("of ann")]);
  await eventually(() => expect(store.status).toMatchObject({ connection: "online", pending: 0, problem: null }));
  expect(await here.recorded()).toEqual(['ann: "of ann"']);
});

test("a token that names nobody is left to the edge", async () => {
  const store = await here.open({ person: "ann", sync: { token: () => "no.jwt", automatic: false } });
  await expect(store.sync()).rejects.toMatchObject({ code: "unauthenticated" });
  expect(here.requests).toBeGreaterThan(0);
});

test("an append waits a moment at most for a token that does not come", async () => {
  const store = await here.open({ sync: { token: () => new Promise<string>(() => {}), automatic: false } });
  expect(await store.appendToStream("Note-1", [event("whoever")])).toMatchObject({ pending: true });
});

test.each(["", "a\nb", 7, "x".repeat(256)])("the person %j is refused", async (person) => {
  await expect(here.open({ person: person as string })).rejects.toMatchObject({ code: "invalid-request", field: "person" });
});

test("a name with the separator of persons is refused", async () => {
  await expect(here.open({ name: "a~b" })).rejects.toMatchObject({ code: "invalid-request", field: "name" });
});
