/** `openMemoryEdge`: several devices, each with its own network, and one edge, in one process. */
import { expect, onTestFinished, test, vi } from "vitest";
import type { Decider } from "../../../client/index.ts";
import { type MemoryEdgeOptions, type MemoryNetwork, openMemoryEdge, openMemoryStore } from "../../../client/testing/index.ts";
import { createEdge, type EdgeSettings } from "../../../worker/index.ts";
import { eventually } from "../../support/eventually.ts";

type Booked = { readonly type: "SeatBooked"; readonly data: { readonly by: string } };

const seats: Decider<{ readonly by: string | null }, { readonly bookFor: string }, Booked> = {
  name: "seats",
  version: 1,
  initialState: { by: null },
  evolve: (_, event) => ({ by: event.data.by }),
  decide({ bookFor }, { by }) {
    if (by !== null && by !== bookFor) throw new Error(`The seat is taken by ${by}.`);
    return by === null ? { type: "SeatBooked", data: { by: bookFor } } : [];
  },
};

async function open(settings: EdgeSettings = {}, options: MemoryEdgeOptions = {}) {
  const edge = await openMemoryEdge(createEdge(settings), options);
  onTestFinished(() => edge.close());
  const device = async (network: MemoryNetwork = edge.network()) => {
    const store = await openMemoryStore({ deciders: [seats], sync: network.to("theatre") });
    onTestFinished(() => store.close());
    return store;
  };
  return { edge, device };
}

test("another device was first: the command is decided again, and refused as a conflict", async () => {
  const { edge, device } = await open();
  const network = edge.network();
  const [ann, bob] = [await device(network), await device()];

  network.disconnect();
  await ann.handle("Seat-1", seats, { bookFor: "ann" });
  await ann.handle("Seat-2", seats, { bookFor: "ann" });
  await bob.handle("Seat-1", seats, { bookFor: "bob" });
  await bob.sync();
  network.connect();
  await ann.sync();

  const [conflict, ...others] = await ann.conflicts();
  expect([conflict?.streamId, conflict?.reason, others]).toEqual(["Seat-1", expect.stringContaining("taken by bob"), []]);
  await conflict?.discard();
  await bob.sync();
  for (const store of [ann, bob]) {
    expect([(await store.aggregateStream("Seat-1", seats)).state, (await store.aggregateStream("Seat-2", seats)).state]).toEqual([
      { by: "bob" },
      { by: "ann" },
    ]);
  }
});

test("news comes over the feed socket, which breaks with the network", async () => {
  const { edge, device } = await open();
  const network = edge.network();
  const [ann, bob] = [await device(network), await device()];
  const live = ann.live("Seat-1", seats);
  onTestFinished(live.subscribe(() => undefined));
  await eventually(() => expect(ann.status.connection).toBe("online"));
  await bob.handle("Seat-1", seats, { bookFor: "bob" });
  await eventually(() => expect(live.getSnapshot().state).toEqual({ by: "bob" }));

  const closed = Promise.withResolvers<number>();
  const socket = network.webSocket("wss://edge.test/v1/theatre/feed");
  socket.addEventListener("open", () => network.disconnect());
  socket.addEventListener("close", ({ code }) => closed.resolve(code));
  expect([await closed.promise, socket.readyState, network.isConnected]).toEqual([1006, 3, false]);
  await eventually(() => expect(ann.status.connection).toBe("offline"));
});

test("a WebSocket that the edge refuses, or the network does not carry, fails", async () => {
  const { edge } = await open();
  const network = edge.network();
  const codeOf = (socket: WebSocket) => new Promise((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
  expect(await codeOf(network.webSocket("wss://edge.test/v1/theatre/feed", ["other"]))).toBe(1006);
  network.disconnect();
  expect(await codeOf(network.webSocket("wss://edge.test/v1/theatre/feed"))).toBe(1006);
});

test("a request that is under way when the network goes fails, and the edge performs it all the same", async () => {
  const principal = { actor: null, grants: [{ store: "*", streams: ["*"], can: ["read" as const, "append" as const] }] };
  let arrived = (): void => undefined;
  const { edge } = await open({
    authenticate: () => {
      arrived();
      return principal;
    },
  });
  const network = edge.network();
  arrived = () => network.disconnect();
  const body = JSON.stringify({ events: [{ id: crypto.randomUUID(), type: "SeatBooked", data: { by: "ann" } }] });
  const append = () => network.fetch(`${network.to("theatre").url}/streams/Seat-1`, { method: "POST", body });
  await expect(append()).rejects.toThrow("The network was taken away.");
  await edge.settled();
  expect(await (await edge.fetch("/v1/theatre/feed")).json()).toMatchObject({ position: 1 });
  await expect(append()).rejects.toThrow("The network was taken away.");
  arrived = () => undefined;
  network.connect();
  expect(await (await append()).json()).toMatchObject({ version: 1, duplicate: true });
});

test("a subscription has handled what was pushed when the edge has settled, and retries as the clock is moved", async () => {
  let failures = 3;
  const seen: string[] = [];
  const handle = (events: readonly { readonly streamId: string }[]) => {
    if (events.some(({ streamId }) => streamId === "Seat-2") && failures-- > 0) throw new Error("not yet");
    seen.push(...events.map(({ streamId }) => streamId));
  };
  vi.spyOn(console, "error").mockReturnValue();
  onTestFinished(() => void vi.restoreAllMocks());
  const { edge, device } = await open({ subscriptions: { mail: { handle } } });
  const ann = await device();
  await ann.handle("Seat-1", seats, { bookFor: "ann" });
  await ann.sync();
  await edge.settled();
  expect(seen).toEqual(["Seat-1"]);
  await ann.handle("Seat-2", seats, { bookFor: "ann" });
  await ann.sync();
  await edge.settled();
  expect([seen, failures]).toEqual([["Seat-1"], 2]);
  await edge.advance(3_600_000);
  expect([seen, failures]).toEqual([["Seat-1", "Seat-2"], -1]);
  const page = (await (await edge.fetch("/v1/theatre/subscriptions/mail")).json()) as { subscription: object };
  expect(page.subscription).toMatchObject({ position: 2, lag: 0, attempts: 0 });
});

test("what is stored survives a restart, and the devices go on", async () => {
  const { edge, device } = await open();
  const [ann, bob] = [await device(), await device()];
  await ann.handle("Seat-1", seats, { bookFor: "ann" });
  await ann.sync();
  edge.restart();
  await ann.handle("Seat-2", seats, { bookFor: "ann" });
  await ann.sync();
  await bob.sync();
  expect([ann.status.pending, bob.status.cursor?.position, ann.status.problem]).toEqual([0, 2, null]);
});

test("the environment is the Worker's, and the edge's own function may decide who calls", async () => {
  const principal = { actor: "ann", grants: [{ store: "theatre", streams: ["*"], can: ["read" as const] }] };
  const { edge } = await open(
    { authenticate: (request, env) => (request.headers.has("authorization") ? principal : null) && Reflect.get(env, "KEY") && principal },
    { env: { KEY: "x" } },
  );
  expect((await edge.fetch("/v1/theatre/feed")).status).toBe(401);
  expect((await edge.fetch("/v1/theatre/feed", { headers: { authorization: "Bearer x" } })).status).toBe(200);
  const closed = await open({}, { env: { AUTH: "jwt" } });
  expect((await closed.edge.fetch("/v1/theatre/feed")).status).toBe(401);
});

test("server-sent events end with the network", async () => {
  const { edge } = await open();
  const network = edge.network();
  const { body } = await network.fetch(`${network.to("theatre").url}/feed`, { headers: { accept: "text/event-stream" } });
  const reader = body?.getReader();
  expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("retry:");
  network.disconnect();
  await expect(reader?.read()).rejects.toThrow("The network was taken away.");
});
