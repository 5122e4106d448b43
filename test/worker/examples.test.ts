/** Tests the worked examples of `docs/examples/` exactly as they are there. */

import { env } from "cloudflare:test";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { keepPermits } from "../../docs/examples/read-model/worker.ts";
import { isAuthentic, signatureOf } from "../../docs/examples/webhooks/signature.ts";
import type { ConfirmedEvent } from "../../worker/index.ts";
import { eventually } from "../support/eventually.ts";
import { event } from "./edge-calls.ts";
import { newSubscribedStore, readModel, type SubscribedStore, webhooks } from "./edges.ts";
import { createReadModel } from "./read-model.ts";

beforeAll(createReadModel);

afterEach(() => {
  vi.restoreAllMocks();
});

async function rowsOf(store: string): Promise<Record<string, unknown>[]> {
  const { results } = await env.DB.prepare("SELECT id, status, version FROM permits WHERE store = ? ORDER BY id").bind(store).all();
  return results;
}

async function positionOf(store: string): Promise<number | null> {
  return env.DB.prepare("SELECT position FROM progress WHERE store = ?").bind(store).first<number>("position");
}

async function handled(store: SubscribedStore, name: string, position: number): Promise<void> {
  await vi.waitFor(async () => expect(await store.status(name)).toMatchObject({ position, state: "running" }), { timeout: 20_000 });
}

/** The examples give no commands. */
const unused = () => Promise.reject(new Error("no command"));

test("the read model has what the log has, by its last event", async () => {
  const store = newSubscribedStore(readModel);
  await store.append("Permit-1", 0, event("Requested"), event("Granted"));
  await store.append("Other-1", 0, event("Requested"));
  await store.append("Permit-2", 0, event("Requested"));
  await handled(store, "permits", 4);
  expect(await rowsOf(store.id)).toEqual([
    { id: "Permit-1", status: "Granted", version: 2 },
    { id: "Permit-2", status: "Requested", version: 1 },
  ]);
  expect(await positionOf(store.id)).toBe(4);
});

test("the read model counts an event once, however often it is handed over", async () => {
  const store = newSubscribedStore(readModel);
  await store.append("Permit-1", 0, event("Requested"), event("Granted"));
  await handled(store, "permits", 2);
  await store.append("Permit-1", 2, event("Closed"));
  await handled(store, "permits", 3);
  const { events } = (await store.get("/feed")).body;
  const context = {
    store: store.id,
    subscription: "permits",
    failures: 0,
    isReplay: true,
    signal: new AbortController().signal,
    handle: unused,
  };
  // As after an answer that was lost: the first two come again, and change nothing.
  await keepPermits(events.slice(0, 2) as ConfirmedEvent[], readModel.envOf(env), context);
  expect(await rowsOf(store.id)).toEqual([{ id: "Permit-1", status: "Closed", version: 3 }]);
  expect(await positionOf(store.id)).toBe(3);
  // Begun anew, it is the same once more.
  await env.DB.batch(["permits", "progress"].map((table) => env.DB.prepare(`DELETE FROM ${table} WHERE store = ?`).bind(store.id)));
  await store.post("/subscriptions/permits/reset", { position: 0 });
  await eventually(async () => expect(await positionOf(store.id)).toBe(3));
  expect(await rowsOf(store.id)).toEqual([{ id: "Permit-1", status: "Closed", version: 3 }]);
});

/** A receiver that answers what it is told to, and keeps what it took. */
function receiver(answer: (taken: number) => number = () => 204) {
  const requests: { id: string; body: string; isAuthentic: boolean }[] = [];
  const { WEBHOOK_SECRET, WEBHOOK_URL } = webhooks.envOf(env);
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input as string, init as RequestInit);
    expect(request.url).toBe(WEBHOOK_URL);
    const body = await request.text();
    const { headers } = request;
    requests.push({ id: headers.get("webhook-id") ?? "", body, isAuthentic: await isAuthentic(headers, body, WEBHOOK_SECRET) });
    return new Response(null, { status: answer(requests.length) });
  });
  return requests;
}

test("webhooks arrive in order, signed, with the event's id", async () => {
  const requests = receiver();
  const store = newSubscribedStore(webhooks);
  const events = [event(), event(), event()];
  await store.append("A-1", 0, ...events);
  await handled(store, "webhooks", 3);
  expect(requests.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
  expect(requests.every((request) => request.isAuthentic)).toBe(true);
  expect(requests.map(({ body }) => JSON.parse(body).position)).toEqual([1, 2, 3]);
});

test("a receiver that refuses is tried again, and knows what it has by the id", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  const requests = receiver((taken) => (taken === 2 ? 503 : 204));
  const store = newSubscribedStore(webhooks);
  const [first, second] = [event(), event()];
  await store.append("A-1", 0, first, second);
  await handled(store, "webhooks", 2);
  expect(requests.map(({ id }) => id)).toEqual([first.id, second.id, first.id, second.id]);
});

test("a signature holds for its message, its secret and its time, and for nothing else", async () => {
  const secret = "0123456789abcdef0123456789abcdef";
  const timestamp = 1_800_000_000;
  const now = timestamp * 1000;
  const signed = { id: crypto.randomUUID(), timestamp, body: '{"a":1}' };
  const signature = await signatureOf(signed, secret);
  const check = (headers: Record<string, string> = {}, { body = signed.body, by = secret, at = now } = {}) => {
    const given = { "webhook-id": signed.id, "webhook-timestamp": String(timestamp), "webhook-signature": signature, ...headers };
    return isAuthentic(new Headers(given), body, by, at);
  };
  expect(await check()).toBe(true);
  expect(await check({ "webhook-signature": `v1,${"A".repeat(43)}= ${signature}` })).toBe(true);
  expect(await check({ "webhook-id": crypto.randomUUID() })).toBe(false);
  expect(await check({ "webhook-timestamp": String(timestamp + 1) })).toBe(false);
  expect(await check({}, { body: '{"a":2}' })).toBe(false);
  expect(await check({}, { by: `${secret}x` })).toBe(false);
  expect(await check({}, { at: now + 301_000 })).toBe(false);
  expect(await check({}, { at: now - 301_000 })).toBe(false);
  for (const wrong of ["", "v1", "v1,", signature.slice(0, -2), `v2${signature.slice(2)}`, "v1,%%%"]) {
    expect(await check({ "webhook-signature": wrong })).toBe(false);
  }
});

test("the signature is what any other HMAC makes of it", async () => {
  const signed = { id: "msg_1", timestamp: 1_614_265_330, body: '{"test": 2432232314}' };
  // By createHmac("sha256", …) of Node, over "msg_1.1614265330." and the body.
  expect(await signatureOf(signed, "a secret, with an ü in it")).toBe("v1,5QG3lZyB2odcLI1EsTwriotlhgIeZg1CyR7nIXTgDNo=");
});
