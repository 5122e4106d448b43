/** Devices whose commands the edge decides. */
import { expect, onTestFinished, test } from "vitest";
import type { Store } from "../../../client/index.ts";
import { type MemoryNetwork, openMemoryEdge, openMemoryStore } from "../../../client/testing/index.ts";
import type { AnyDecider } from "../../../shared/decider/decider.ts";
import { createEdge, type EdgeSettings } from "../../../worker/index.ts";
import { eventually } from "../../support/eventually.ts";
import { stock } from "../../support/shelf.ts";

type Can = "read" | "append" | "handle";

async function open({ can = ["read", "handle"], ...settings }: EdgeSettings & { readonly can?: readonly Can[] } = {}) {
  const requests: string[] = [];
  /** What happens before a push reaches the edge. */
  const before: { push?: (() => Promise<unknown>) | undefined } = {};
  const authenticate: EdgeSettings["authenticate"] = async (request) => {
    const { push } = before;
    if (request.method === "POST" && push !== undefined) {
      before.push = undefined;
      await push();
    }
    requests.push(`${request.method} ${new URL(request.url).pathname.split("/").at(-1)}`);
    return { actor: null, grants: [{ store: "*", streams: ["*"], can: [...can] }] };
  };
  const edge = await openMemoryEdge(createEdge({ deciders: { Stock: stock }, authenticate, ...settings }));
  onTestFinished(() => edge.close());
  const device = async (network: MemoryNetwork = edge.network(), deciders: readonly AnyDecider[] = [stock]) => {
    const store = await openMemoryStore({ deciders, sync: { ...network.to("shop"), automatic: false } });
    onTestFinished(() => store.close());
    return store;
  };
  return { edge, device, requests, before };
}

const leftOn = async (store: Store) => (await store.aggregateStream("Stock-1", stock)).state.left;
const takenOn = async (store: Store) =>
  (await store.readStream("Stock-1")).events
    .filter(({ type }) => type === "StockTaken")
    .map(({ data, pending }) => `${(data as { units: number }).units}${pending ? " pending" : ""}`);

/** Ann and Bob know of `units`; both are offline from then on. */
async function two(given: Awaited<ReturnType<typeof open>>, units: number) {
  const networks = [given.edge.network(), given.edge.network()] as const;
  const [ann, bob] = [await given.device(networks[0]), await given.device(networks[1])];
  await ann.handle("Stock-1", stock, { fill: units });
  await ann.sync();
  await bob.sync();
  return { ann, bob, networks };
}

test("two devices, the last unit: one has it, and the other shows the app's own sentence", async () => {
  const given = await open();
  const { ann, bob } = await two(given, 1);
  await bob.handle("Stock-1", stock, { take: 1 });
  await ann.handle("Stock-1", stock, { take: 1 });
  // Bob has his page before Ann takes it, and so it is the edge that refuses.
  given.before.push = () => ann.sync();
  await bob.sync();
  expect([await leftOn(ann), await leftOn(bob)]).toEqual([0, 0]);
  const [conflict, ...others] = bob.conflicts();
  expect(others).toEqual([]);
  expect(conflict).toMatchObject({
    streamId: "Stock-1",
    code: "command-refused",
    kind: "refused",
    reason: "Only 0 are left.",
    refusal: { name: "OutOfStock", message: "Only 0 are left.", data: { left: 0 } },
  });
  expect(bob.status).toMatchObject({ pending: 0, conflicts: 1, problem: null });
  await expect(conflict?.rebase()).rejects.toThrow("Only 0 are left.");
  await conflict?.discard();
  await bob.sync();
  expect([await takenOn(ann), await takenOn(bob)]).toEqual([["1"], ["1"]]);
});

test("a device that knows the truth before it sends shows the same refusal", async () => {
  const given = await open();
  const { ann, bob } = await two(given, 1);
  await bob.handle("Stock-1", stock, { take: 1 });
  await ann.handle("Stock-1", stock, { take: 1 });
  await ann.sync();
  await bob.sync();
  expect(bob.conflicts()).toEqual([
    expect.objectContaining({ kind: "refused", refusal: { name: "OutOfStock", message: "Only 0 are left.", data: { left: 0 } } }),
  ]);
});

test("what a device expected gives way to what the edge has decided, in one push and one page", async () => {
  const orFewer = {
    ...stock,
    decide: (command: Parameters<typeof stock.decide>[0], state: { left: number }, context: Parameters<typeof stock.decide>[2]) =>
      stock.decide("take" in command ? { take: Math.min(command.take, state.left) } : command, state, context),
  };
  const requestsOf = async (settings: EdgeSettings) => {
    const given = await open({ can: ["read", "append", "handle"], ...settings });
    const device = () => given.device(undefined, [orFewer]);
    const [ann, bob] = [await device(), await device()];
    await ann.handle("Stock-1", orFewer, { fill: 5 });
    await ann.sync();
    await bob.sync();
    await ann.handle("Stock-1", orFewer, { take: 3 });
    await bob.handle("Stock-1", orFewer, { take: 4 });
    expect(await takenOn(bob)).toEqual(["4 pending"]);
    given.before.push = async () => {
      await ann.sync();
      given.requests.length = 0;
    };
    await bob.sync();
    expect([await takenOn(bob), bob.conflicts(), bob.status.pending]).toEqual([["3", "2"], [], 0]);
    return given.requests;
  };
  // The page that comes first is not among them.
  expect(await requestsOf({ deciders: { Stock: orFewer } })).toEqual(["POST commits", "GET feed"]);
  expect(await requestsOf({ deciders: {} })).toEqual(["POST commits", "GET feed", "POST commits", "GET feed"]);
});

test("events that the edge has decided are known by the command if the answer to the push is lost", async () => {
  const given = await open();
  const { ann, bob, networks } = await two(given, 5);
  await ann.handle("Stock-1", stock, { take: 1 });
  // Another decision than the device's: the fifth event says who.
  await bob.handle("Stock-1", stock, { take: 2 });
  await ann.sync();
  given.before.push = async () => networks[1].disconnect();
  await expect(bob.sync()).rejects.toMatchObject({ code: "unavailable" });
  await given.edge.settled();
  expect(await takenOn(bob)).toEqual(["1", "2 pending"]);
  networks[1].connect();
  await bob.sync();
  expect([await takenOn(bob), bob.status.pending, bob.conflicts()]).toEqual([["1", "2"], 0, []]);
  await ann.sync();
  expect(await takenOn(ann)).toEqual(["1", "2"]);
});

test("several commands: the one that is refused is parked alone, and later ones are decided on the truth", async () => {
  const given = await open();
  const { ann, bob } = await two(given, 5);
  for (const take of [3, 1, 1]) await bob.handle("Stock-1", stock, { take });
  await ann.handle("Stock-1", stock, { take: 3 });
  given.before.push = () => ann.sync();
  await bob.sync();
  expect(bob.conflicts().map(({ kind, command }) => [kind, command?.data])).toEqual([["refused", { take: 3 }]]);
  expect([await takenOn(bob), await leftOn(bob), bob.status.pending]).toEqual([["3", "1", "1"], 0, 0]);
});

test("a commit without a command to a guarded category waits and is visible, and other streams go on", async () => {
  const { device } = await open({ can: ["read", "handle"] });
  const store = await device();
  await store.appendToStream("Stock-1", [{ type: "StockFilled", data: { units: 999 } }]);
  await store.handle("Stock-2", stock, { fill: 1 });
  await expect(store.sync()).rejects.toMatchObject({ code: "command-required" });
  await expect(store.sync()).rejects.toMatchObject({ code: "command-required" });
  expect(store.status).toMatchObject({ pending: 1, conflicts: 0, problem: { code: "command-required" } });
  expect(store.status.problem?.message).toMatch(/^Stock-1: The edge decides the commands of this category/);
  expect((await store.readStream("Stock-2")).events).toMatchObject([{ pending: false }]);
});

test("a command for another version of its decider waits until the edge has it", async () => {
  let version = 1;
  const later = { ...stock, version: 2 };
  const deployed = {
    ...stock,
    get version() {
      return version;
    },
  };
  const { device } = await open({ deciders: { Stock: deployed } });
  const store = await device(undefined, [later]);
  await store.handle("Stock-1", later, { fill: 1 });
  await expect(store.sync()).rejects.toMatchObject({ code: "decider-version" });
  expect(store.status).toMatchObject({ pending: 1, conflicts: 0, problem: { code: "decider-version" } });
  version = 2;
  await store.sync();
  expect(store.status).toMatchObject({ pending: 0, conflicts: 0, problem: null });
});

test("a command that changes nothing any more is parked, and says so", async () => {
  const once = {
    ...stock,
    decide: (command: Parameters<typeof stock.decide>[0], state: { left: number }, context: Parameters<typeof stock.decide>[2]) =>
      "fill" in command && state.left > 0 ? [] : stock.decide(command, state, context),
  };
  const given = await open({ deciders: { Stock: once } });
  const [ann, bob] = [await given.device(undefined, [once]), await given.device(undefined, [once])];
  await ann.handle("Stock-1", once, { fill: 1 });
  await bob.handle("Stock-1", once, { fill: 1 });
  given.before.push = () => ann.sync();
  await bob.sync();
  expect(bob.conflicts()).toEqual([
    expect.objectContaining({ kind: "refused", refusal: null, reason: expect.stringContaining("changes nothing") }),
  ]);
});

test("a stream outside of the device's filter is fetched before it is folded, and is unknown while it can't be", async () => {
  const given = await open({ can: ["read", "append", "handle"] });
  const network = given.edge.network();
  const ann = await given.device();
  await ann.handle("Stock-1", stock, { fill: 3 });
  await ann.sync();
  const bob = await openMemoryStore({ deciders: [stock], sync: { ...network.to("shop"), filter: { categories: ["Other"] } } });
  onTestFinished(() => bob.close());
  await bob.sync();
  network.disconnect();
  const live = bob.live("Stock-1", stock);
  onTestFinished(live.subscribe(() => undefined));
  await expect(bob.aggregateStream("Stock-1", stock)).rejects.toMatchObject({ code: "unavailable", details: { streamId: "Stock-1" } });
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ status: "failed", error: { code: "unavailable" } }));
  await expect(bob.handle("Stock-1", stock, { take: 1 })).rejects.toMatchObject({ code: "unavailable" });
  network.connect();
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ status: "ready", state: { left: 3 } }));
  expect((await bob.aggregateStream("Stock-1", stock)).state).toEqual({ left: 3 });
});
