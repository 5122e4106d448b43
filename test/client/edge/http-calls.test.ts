/** `connectStore`: its options, and how its calls end: by an answer, by the timeout, by a signal, or with the store. */
import { expect, test } from "vitest";
import { type ConnectOptions, connectStore, type EdgeStore } from "../../../client/http.ts";

const url = "https://edge.example/v1/permits";
const EMPTY = { log: "l", events: [], position: 0, head: 0 };
const refused = (field: string) => expect.objectContaining({ name: "InvalidRequestError", code: "invalid-request", field });
const untyped = <T>(value: unknown) => value as T;

/** A server that never answers, unless the request is aborted; and the signals of the requests that it got. */
function silent() {
  const requests: AbortSignal[] = [];
  const asked = Promise.withResolvers<void>();
  const fetch: typeof globalThis.fetch = (_, init) => {
    const signal = init?.signal;
    if (signal === null || signal === undefined) throw new Error("A request needs a signal.");
    requests.push(signal);
    asked.resolve();
    return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  return { fetch, requests, asked: asked.promise };
}

/** A server that answers with these responses in turn, and the last one again and again. */
function answering(...answers: readonly (() => Response)[]) {
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = async (input) => {
    asked.push(String(input));
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    return answer?.() ?? Response.error();
  };
  return { fetch, asked };
}

const CALLS: readonly [name: string, call: (store: EdgeStore, options?: { signal?: AbortSignal }) => Promise<unknown>][] = [
  ["appendToStream", (store, options) => store.appendToStream("Note-1", [{ type: "Noted", data: {} }], options)],
  ["push", (store, options) => store.push([store.prepare("Note-1", [{ type: "Noted", data: {} }])], options)],
  ["readStream", (store, options) => store.readStream("Note-1", options)],
  ["readAll", (store, options) => store.readAll(options).next()],
  ["listStreams", (store, options) => store.listStreams(options)],
  ["head", (store, options) => store.head(options)],
  ["health", (store, options) => store.health(options)],
];

test.each<[string, unknown]>([
  ["url", undefined],
  ["url", "/v1/permits"],
  ["url", `${url}?log=1`],
  ["url", `${url}#top`],
  ["url", "ws://edge.example/v1/permits"],
  ["url", new URL(`${url}?log=1`)],
  ["timeout", "30s"],
  ["timeout", -1],
  ["timeout", 30 * 86_400_000],
  ["retries", -1],
  ["retries", Number.POSITIVE_INFINITY],
  ["signal", {}],
  ["token", "abc"],
  ["limits.pageEvent", 1],
  ["automatic", false],
])("%s: %s is refused", (path, value) => {
  const given = path.split(".").reduceRight<unknown>((inner, part) => ({ [part]: inner }), value);
  expect(() => connectStore(untyped<ConnectOptions>({ url, ...(given as object) }))).toThrow(refused(path));
});

test.each([url, `${url}/`, `${url}//`, new URL(url), new URL(`${url}/`)])("%s is the address that requests go to", async (given) => {
  const { fetch, asked } = answering(() => Response.json(EMPTY));
  await connectStore({ url: given, fetch }).head();
  expect(asked).toEqual([`${url}/feed?limit=1`]);
});

test.each<[string, (store: EdgeStore) => Promise<unknown>, string]>([
  ["readAll", (store) => store.readAll(untyped({ direction: "backwards" })).next(), "direction"],
  ["tail", (store) => store.tail(untyped({ limit: 1 })).next(), "limit"],
  ["readStream", (store) => store.readStream("Note-1", untyped({ after: 1 })), "after"],
  ["listStreams", (store) => store.listStreams(untyped({ from: "Note-1" })), "from"],
  ["head", (store) => store.head(untyped({ after: 1 })), "after"],
  ["push", (store) => store.push([], untyped({ retries: 1 })), "retries"],
  ["appendToStream", (store) => store.appendToStream("Note-1", untyped({ type: "Noted", data: {} })), "events"],
  ["appendToStream", (store) => store.appendToStream("Note-1", [untyped({ type: "Noted", payload: {} })]), "events[0].payload"],
  ["appendToStream", (store) => store.appendToStream("Note-1", [], untyped({ expectedversion: 1 })), "expectedversion"],
])("%s refuses what it does not know, and asks for nothing", async (_, call, field) => {
  const { fetch, asked } = answering(() => Response.json(EMPTY));
  await expect(call(connectStore({ url, fetch }))).rejects.toEqual(refused(field));
  expect(asked).toEqual([]);
});

test.each(CALLS)("%s to a server that never answers ends after the timeout, and so does its request", async (_, call) => {
  const { fetch, requests } = silent();
  await expect(call(connectStore({ url, fetch, timeout: 20 }))).rejects.toMatchObject({ code: "unavailable" });
  expect(requests.map(({ aborted }) => aborted)).toEqual([true]);
});

test("a request that never gets its token ends after the timeout too", async () => {
  const store = connectStore({ url, fetch: silent().fetch, token: () => new Promise(() => undefined), timeout: 20 });
  await expect(store.head()).rejects.toMatchObject({ code: "unavailable" });
});

test("retries and their waits count for the timeout: a call rejects with the last error instead of waiting beyond it", async () => {
  const busy = () => Response.json({ code: "too-many-requests", status: 429 }, { status: 429, headers: { "retry-after": "31536000" } });
  const { fetch, asked } = answering(busy);
  const proxy = answering(() => new Response("busy", { status: 429, headers: { "retry-after": "31536000" } }));
  await expect(connectStore({ url, fetch: proxy.fetch, timeout: 1_000 }).head()).rejects.toMatchObject({
    code: "unavailable",
    details: { retryAfter: 31_536_000 },
  });
  expect(proxy.asked).toHaveLength(1);
  await expect(connectStore({ url, fetch, retries: 1 }).head()).rejects.toMatchObject({ code: "too-many-requests" });
  expect(asked).toHaveLength(2);
});

test.each([0, Number.POSITIVE_INFINITY])("with a timeout of %s nothing but the caller ends a call", async (timeout) => {
  const { fetch, requests, asked } = silent();
  const ending = new AbortController();
  const call = connectStore({ url, fetch, timeout }).head({ signal: ending.signal });
  await asked;
  // A timer of 0 or of Infinity milliseconds would go off before this one.
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(requests.map(({ aborted }) => aborted)).toEqual([false]);
  ending.abort();
  await expect(call).rejects.toBe(ending.signal.reason);
});

test.each(CALLS)("%s ends with its signal: the request is aborted, and the call rejects with the signal's reason", async (_, call) => {
  const { fetch, requests, asked } = silent();
  const ending = new AbortController();
  const running = call(connectStore({ url, fetch }), { signal: ending.signal });
  await asked;
  const reason = new Error("The person went on.");
  ending.abort(reason);
  await expect(running).rejects.toBe(reason);
  expect(requests.map(({ aborted }) => aborted)).toEqual([true]);
});

test.each(CALLS)("close() ends %s, and later calls reject", async (_, call) => {
  const { fetch, requests, asked } = silent();
  const store = connectStore({ url, fetch });
  const running = call(store);
  await asked;
  await store.close();
  await expect(running).rejects.toMatchObject({ code: "store-closed" });
  await expect(call(store)).rejects.toMatchObject({ code: "store-closed" });
  expect(requests.map(({ aborted }) => aborted)).toEqual([true]);
});

test("the store's signal closes it, also during the wait before a retry", async () => {
  const ending = new AbortController();
  const { fetch, asked } = answering(() => {
    queueMicrotask(() => ending.abort());
    return new Response("busy", { status: 503, headers: { "retry-after": "20" } });
  });
  const store = connectStore({ url, fetch, signal: ending.signal });
  await expect(store.head()).rejects.toMatchObject({ code: "store-closed" });
  await expect(store.head()).rejects.toMatchObject({ code: "store-closed" });
  expect(asked).toHaveLength(1);
});

test("a signal that was aborted before sends nothing", async () => {
  const { fetch, requests } = silent();
  const reason = new Error("too late");
  await expect(connectStore({ url, fetch }).head({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(requests).toEqual([]);
});

test("close() ends a tail that waits", async () => {
  const { fetch, requests, asked } = silent();
  const store = connectStore({ url, fetch });
  const next = store.tail().next();
  await asked;
  await store.close();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(requests.map(({ aborted }) => aborted)).toEqual([true]);
});
