/** Who may operate subscriptions, and what other callers can't find out. */
import { createExecutionContext, env } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { type Authenticate, createEdge } from "../../../worker/index.ts";
import { event } from "../edge-calls.ts";
import { handling, newSubscribedStore, SUBSCRIPTIONS, subscribed } from "../edges.ts";

const REQUESTS: [string, string][] = [
  ["GET", "/subscriptions"],
  ["GET", "/subscriptions/all"],
  ["GET", "/subscriptions/none"],
  ["POST", "/subscriptions/all/resume"],
  ["POST", "/subscriptions/all/reset"],
  ["POST", "/subscriptions/all/replay"],
  ["POST", "/subscriptions/none/replay"],
];

interface Given {
  readonly store?: string;
  readonly streams?: readonly string[];
  readonly can: readonly string[];
}

function callAs(given: Given | null, store: string) {
  const authenticate: Authenticate = () =>
    given === null
      ? null
      : { actor: "ann", grants: [{ store: given.store ?? "*", streams: [...(given.streams ?? ["*"])], can: [...given.can] }] };
  const edge = createEdge({ subscriptions: SUBSCRIPTIONS, authenticate });
  return async (method: string, path: string) => {
    const init = { method, ...(method === "POST" ? { body: '{"position":0}' } : {}) };
    const request = new Request(`https://edge.example/v1/${store}${path}`, init);
    const response = await edge.fetch(request, subscribed.envOf(env), createExecutionContext());
    return { status: response.status, text: await response.text() };
  };
}

test.each<[string, Given | null, number]>([
  ["nobody", null, 401],
  ["who may read and append everything", { can: ["read", "append"] }, 403],
  ["who administers a part of the store", { can: ["admin"], streams: ["Permit-*"] }, 403],
  ["who administers another store", { can: ["admin"], store: "another" }, 403],
  ["who may do what there is not", { can: ["administrate", "ADMIN"] }, 403],
])("%s is told the same of a subscription that is there and of one that is not", async (_, given, status) => {
  const store = newSubscribedStore(subscribed);
  await store.append("Permit-1", 0, event());
  const call = callAs(given, store.id);
  const answers = await Promise.all(REQUESTS.map(([method, path]) => call(method, path)));
  expect(answers.map((answer) => answer.status)).toEqual(REQUESTS.map(() => status));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
});

test("an administrator sees subscriptions, and no event for all that", async () => {
  const store = newSubscribedStore(subscribed);
  await store.append("Permit-1", 0, event());
  const call = callAs({ can: ["admin"], store: store.id }, store.id);
  for (const [method, path] of REQUESTS) expect([path, (await call(method, path)).status]).toEqual([path, statusOf(path)]);
  for (const path of ["/feed", "/streams", "/streams/Permit-1", "/health"]) expect((await call("GET", path)).status).toBe(403);
});

function statusOf(path: string): number {
  if (path.includes("none")) return 404;
  // Nothing is set aside at position 0.
  return path.endsWith("replay") ? 400 : 200;
}

test("what is told of an event that was set aside holds none of its data", async () => {
  const store = newSubscribedStore(subscribed);
  vi.spyOn(Math, "random").mockReturnValue(0);
  handling(store.id, "all", ([first]) => JSON.parse(`${JSON.stringify(first?.data)} and more`));
  await store.append("A-1", 0, event("Happened", { secret: "swordfish" }));
  await vi.waitFor(async () => expect((await store.status("all")).deadLetters).toBe(1), { timeout: 10_000 });
  const { text } = await store.get("/subscriptions/all");
  expect(text).toContain("The handler threw SyntaxError.");
  expect(text).not.toMatch(/swordfish|secret/);
  vi.restoreAllMocks();
});

test("an edge without subscriptions has none to tell of", async () => {
  const edge = createEdge();
  const call = async (path: string) => edge.fetch(new Request(`https://edge.example/v1/any${path}`), env, createExecutionContext());
  expect(await (await call("/subscriptions")).json()).toEqual({ subscriptions: [] });
  expect((await call("/subscriptions/all")).status).toBe(404);
});

test("/openapi.json tells of subscriptions where there are some, and not of which", async () => {
  const textOf = async (edge: { fetch: typeof subscribed.edge.fetch }) => {
    const response = await edge.fetch(new Request("https://edge.example/openapi.json"), subscribed.envOf(env), createExecutionContext());
    return response.text();
  };
  const pathsOf = (text: string) => Object.keys(JSON.parse(text).paths).filter((path) => path.includes("subscriptions"));
  expect(pathsOf(await textOf(subscribed.edge))).toEqual(
    ["", "/{name}", "/{name}/resume", "/{name}/reset", "/{name}/replay"].map((end) => `/v1/{store}/subscriptions${end}`),
  );
  expect(await textOf(subscribed.edge)).not.toContain("permits");
  expect(pathsOf(await textOf(createEdge()))).toEqual([]);
});
