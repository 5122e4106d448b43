import { expect, test } from "vitest";
import { event, newStore, type TestStore } from "./edge-calls.ts";

async function filled(): Promise<TestStore> {
  const store = newStore();
  const correlated = { ...event("Paid", 3), metadata: { correlationId: "c-1" } };
  await store.append("Permit-1", 0, event("Requested", 1), event("Paid", 2), correlated);
  await store.append("Ticket-1", 0, event("Opened", 4));
  await store.append("Permit", 0, event("Requested", 5));
  await store.append("Permits-1", 0, event("Requested", 6));
  await store.append("Permit-2", 0, event("Requested", 7));
  return store;
}

async function page(store: TestStore, query: string) {
  const { body } = await store.request(`/feed${query}`);
  return { data: body.events.map((item) => item.data), position: body.position, head: body.head };
}

test("a page tells how far it looked, also where nothing matched", async () => {
  const store = await filled();
  const head = 7;
  expect(await page(store, "")).toEqual({ data: [1, 2, 3, 4, 5, 6, 7], position: head, head });
  expect(await page(store, "?after=2&limit=2")).toEqual({ data: [3, 4], position: 4, head });
  expect(await page(store, "?after=7")).toEqual({ data: [], position: 7, head });
  expect(await page(store, "?category=Permit")).toEqual({ data: [1, 2, 3, 5, 7], position: head, head });
  expect(await page(store, "?category=Permit&limit=4")).toEqual({ data: [1, 2, 3, 5], position: 5, head });
  expect(await page(store, "?category=Permits&category=Ticket")).toEqual({ data: [4, 6], position: head, head });
  expect(await page(store, "?stream=Permit-1&stream=Ticket-1&type=Paid")).toEqual({ data: [2, 3], position: head, head });
  expect(await page(store, "?correlation=c-1")).toEqual({ data: [3], position: head, head });
  expect(await page(store, "?category=Nothing")).toEqual({ data: [], position: head, head });
  expect(await page(store, "?since=2000-01-01T00:00:00Z&until=2001-01-01T00:00:00Z")).toEqual({ data: [], position: head, head });
  expect(await page(store, "?since=2000-01-01T00:00:00Z&limit=1")).toEqual({ data: [1], position: 1, head });
});

test("the feed's events are the streams' events", async () => {
  const store = await filled();
  const { body: feed } = await store.request("/feed?stream=Permit-1");
  const { body: stream } = await store.request("/streams/Permit-1");
  expect(feed.events).toEqual(stream.events);
  expect(stream).toMatchObject({ streamId: "Permit-1", version: 3 });
});

test("another log, and a position that the log has not reached, are refused", async () => {
  const store = await filled();
  const { body } = await store.request("/feed");
  expect((await store.request(`/feed?log=${body.log}`)).status).toBe(200);
  const mismatch = await store.request(`/feed?log=${crypto.randomUUID()}`);
  expect([mismatch.status, mismatch.body.code]).toEqual([409, "log-mismatch"]);
  const ahead = await store.request("/feed?after=8");
  expect([ahead.status, ahead.body.code, ahead.body.head]).toEqual([409, "position-ahead", 7]);
});

test("streams are listed by id, by category, page by page", async () => {
  const store = await filled();
  const list = async (query: string) => {
    const { body } = await store.request(`/streams${query}`);
    return [body.streams.map((item) => `${item.streamId}@${item.version}`), body.next];
  };
  expect(await list("")).toEqual([["Permit@1", "Permit-1@3", "Permit-2@1", "Permits-1@1", "Ticket-1@1"], null]);
  expect(await list("?category=Permit")).toEqual([["Permit@1", "Permit-1@3", "Permit-2@1"], null]);
  expect(await list("?category=Permit&limit=2")).toEqual([["Permit@1", "Permit-1@3"], "Permit-1"]);
  expect(await list("?category=Permit&limit=2&after=Permit-1")).toEqual([["Permit-2@1"], null]);
  expect(await list("?limit=2&after=Permit-2")).toEqual([["Permits-1@1", "Ticket-1@1"], null]);
  expect(await list("?category=Nothing")).toEqual([[], null]);
});

test("the log's size can be asked for", async () => {
  const store = await filled();
  const { body } = await store.request("/health");
  expect(body).toMatchObject({ head: 7, streams: 5, events: 7, log: (await store.request("/feed")).body.log });
});
