/** What the edge does not know is refused by its name: parameters of a query, fields of a body, and settings of `createEdge`. */
import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { createEdge, type EdgeSettings } from "../../../worker/index.ts";
import { DEAD_LETTERS, DELETION, FEED, INDEX, LIST, STREAM } from "../../../worker/routes/query.ts";
import { event, newStore } from "../edge-calls.ts";
import { newSubscribedStore, subscribed } from "../edges.ts";

const refused = (field: string) => ({ status: 400, body: { code: "invalid-request", field, detail: expect.stringContaining(field) } });

test.each([
  ["/feed?position=3", "position"],
  ["/feed?after=0&Category=Permit", "Category"],
  ["/feed?categories=Permit", "categories"],
  ["/streams?stream=Permit-1", "stream"],
  ["/streams/Permit-1?after=3", "after"],
  ["/streams/Permit-1?constructor=1", "constructor"],
  ["/health?log=1", "log"],
])("GET %s is refused", async (path, field) => {
  const store = newStore();
  await store.append("Permit-1", 0, event());
  expect(await store.request(path)).toMatchObject(refused(field));
});

test("a feed socket and server-sent events are refused in the same way", async () => {
  const store = newStore();
  for (const headers of [{ upgrade: "websocket" }, { accept: "text/event-stream" }] as Record<string, string>[]) {
    expect(await store.request("/feed?categories=Permit", { headers })).toMatchObject(refused("categories"));
  }
});

test.each([
  ["/streams/Permit-1?expectedVersion=0", { events: [event()] }, "expectedVersion"],
  ["/streams/Permit-1", { expectedversion: 3, events: [event()] }, "expectedversion"],
  ["/streams/Permit-1", { expected: 3, events: [event()] }, "expected"],
  ["/streams/Permit-1", { events: [{ ...event(), meta: {} }] }, "events[0].meta"],
  ["/streams/Permit-1", { events: [event(), { ...event(), payload: 1 }] }, "events[1].payload"],
  ["/streams/Permit-1", { event: event() }, "event"],
  ["/streams/Permit-1", { events: event() }, "events"],
  ["/commits?log=1", { commits: [] }, "log"],
  ["/commits", { Log: "l", commits: [] }, "Log"],
  ["/commits", { commits: [{ streamId: "Permit-1", expected_version: 3, events: [event()] }] }, "commits[0].expected_version"],
  ["/commits", { commits: [{ streamID: "Permit-1", streamId: "Permit-1", events: [event()] }] }, "commits[0].streamID"],
  ["/commits", { commits: [{ streamId: "Permit-1", events: [{ ...event(), schema_version: 2 }] }] }, "commits[0].events[0].schema_version"],
])("POST %s %j is refused, and nothing is written", async (path, body, field) => {
  const store = newStore();
  expect(await store.request(path, { method: "POST", body: JSON.stringify(body) })).toMatchObject(refused(field));
  expect(await store.feed()).toEqual([]);
});

test("a push of a later version is understood: fields that the edge does not know are ignored", async () => {
  const store = newStore();
  const commit = { streamId: "Permit-1", expectedVersion: 0, wish: { name: "ask" }, events: [{ ...event(), seal: "s" }] };
  const answer = await store.request("/commits", { method: "POST", body: JSON.stringify({ device: "d", commits: [commit] }) });
  expect(answer.body.results).toMatchObject([{ status: "committed", version: 1 }]);
});

test("an event that was read may be appended as it is", async () => {
  const store = newStore();
  await store.append("Permit-1", 0, event());
  const { events } = (await store.request("/streams/Permit-1")).body;
  expect(await store.append("Permit-2", 0, ...events)).toMatchObject({ status: 201 });
});

test("the control of subscriptions refuses what it does not know", async () => {
  const store = newSubscribedStore(subscribed);
  const name = (await store.get("/subscriptions")).body.subscriptions[0]?.name;
  expect(await store.get("/subscriptions?after=1")).toMatchObject(refused("after"));
  expect(await store.get(`/subscriptions/${name}?position=1`)).toMatchObject(refused("position"));
  expect(await store.post(`/subscriptions/${name}/reset`, { position: 0, from: 1 })).toMatchObject(refused("from"));
  expect(await store.post(`/subscriptions/${name}/replay`, { positions: [1] })).toMatchObject(refused("positions"));
  expect(await store.post(`/subscriptions/${name}/resume?position=1`)).toMatchObject(refused("position"));
});

test("/openapi.json describes the parameters that the routes know", async () => {
  const { paths } = await (await SELF.fetch("https://edge.example/openapi.json")).json<{
    paths: Record<string, { get?: Described; delete?: Described }>;
  }>();
  const named = (path: string, method: "get" | "delete" = "get") =>
    paths[path]?.[method]?.parameters?.filter((one) => one.in === "query").map(({ name }) => name);
  expect(named("/v1/{store}/streams/{streamId}")).toEqual(STREAM);
  expect(named("/v1/{store}/streams")).toEqual(LIST);
  expect(named("/v1/{store}/feed")).toEqual(FEED);
  expect(named("/v1/{store}", "delete")).toEqual(DELETION);
  expect(named("/v1/{store}/reconcile/streams")).toEqual(INDEX);
  expect(DEAD_LETTERS).toEqual(["after", "limit"]);
});

interface Described {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
}

const handle = () => undefined;

test.each<[string, unknown]>([
  ["basepath", "/api"],
  ["basePath", 5],
  ["authenticate", "jwt"],
  ["limits", 5],
  ["limits.eventByte", 5],
  ["limits.eventBytes", "64k"],
  ["eventTypes", { Noted: { version: 1 } }],
  ["checkEvery", "1m"],
  ["checkEvery", 60_001],
  ["checkEvery", Number.NaN],
  ["subscriptions", [handle]],
  ["subscriptions.mailer", handle],
  ["subscriptions.mailer.handle", undefined],
  ["subscriptions.mailer.handler", handle],
  ["subscriptions.mailer.categories", "Permit"],
  ["subscriptions.mailer.category", 5],
  ["subscriptions.mailer.backoff", { first: 1, longest: 2 }],
  ["subscriptions.mailer.timeout", 0],
  ["subscriptions.mailer.timeout", 600_001],
  ["subscriptions.mailer.timeout", Number.POSITIVE_INFINITY],
  ["subscriptions.mailer.timeout", "30s"],
  ["subscriptions.mailer.retries", Number.POSITIVE_INFINITY],
  ["subscriptions.mailer.from", "start"],
])("createEdge: %s %j is refused", (path, value) => {
  const [setting = "", name = "", option] = path.split(".");
  const given = name === "" ? { [setting]: value } : { [setting]: { [name]: option === undefined ? value : { handle, [option]: value } } };
  expect(() => createEdge(given as EdgeSettings)).toThrow(expect.objectContaining({ name: "InvalidRequestError", field: path }));
});
