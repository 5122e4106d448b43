/** `tail` behind a proxy that lets no server-sent events through: what it yields, how soon, and how often it asks. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type ConfirmedEvent, connectStore, type EdgeStore, LogMismatchError } from "../../../client/http.ts";
import { type MemoryEdge, openMemoryEdge } from "../../../client/testing/index.ts";
import { createEdge } from "../../../worker/routes/edge.ts";

const URL_OF = "https://edge.example/v1/stocks";
const filled = (data: number) => ({ type: "Filled", data });

let edge: MemoryEdge;
let script: EdgeStore;
/** What the reader asked for. */
let asked: ("stream" | "page")[];
let ending: AbortController;

beforeEach(async () => {
  edge = await openMemoryEdge(createEdge());
  script = connectStore({ url: URL_OF, fetch: (input, init) => edge.fetch(input, init) });
  asked = [];
  ending = new AbortController();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(async () => {
  vi.useRealTimers();
  ending.abort();
  await edge.close();
});

type Proxy = (answer: () => Promise<Response>, init: RequestInit | undefined) => Promise<Response>;

/** A tail whose requests for server-sent events go through a proxy. */
function tail(proxy: Proxy, options: { category?: string; token?: () => string } = {}) {
  const { token, ...query } = options;
  const fetch: typeof globalThis.fetch = (input, init) => {
    const isStream = new Headers(init?.headers).get("accept") === "text/event-stream";
    asked.push(isStream ? "stream" : "page");
    const answer = () => edge.fetch(input as string, init);
    return isStream ? proxy(answer, init) : answer();
  };
  return connectStore({ url: URL_OF, fetch, ...(token && { token }) }).tail({ ...query, signal: ending.signal });
}

/** Lets time pass until the next event is there, and returns its data with the milliseconds that it took. */
async function next(reading: AsyncGenerator<ConfirmedEvent>): Promise<{ data: unknown; after: number }> {
  const began = performance.now();
  let isThere = false;
  const result = reading.next().finally(() => {
    isThere = true;
  });
  result.catch(() => undefined); // thrown below
  while (!isThere && performance.now() - began < 600_000) {
    await vi.advanceTimersByTimeAsync(50);
    // The edge's own turns are real.
    for (let turns = 0; turns < 20 && !isThere; turns++) await new Promise((resolve) => setImmediate(resolve));
  }
  if (!isThere) throw new Error("Nothing came within ten minutes.");
  const { value } = await result;
  return { data: value?.data, after: performance.now() - began };
}

/** Sends the headers, and collects everything behind them. */
const collecting: Proxy = async (answer, init) => {
  const { status, headers } = await answer();
  const body = new ReadableStream({
    start(controller) {
      init?.signal?.addEventListener("abort", () => controller.error(new TypeError("network error")));
    },
  });
  return new Response(body, { status, headers });
};

/** Sends nothing before the answer is complete. */
const silent: Proxy = (_, init) =>
  new Promise((_resolve, reject) => init?.signal?.addEventListener("abort", () => reject(init.signal?.reason)));

const failing: Proxy = async () => new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "content-type": "text/html" } });

const broken: Proxy = async () => {
  throw new TypeError("Failed to fetch");
};

test.each<[string, Proxy, number]>([
  ["that collects the answer behind its headers", collecting, 1],
  ["that sends nothing of an answer without an end", silent, 1],
  ["that answers streams with an error page", failing, 3],
  ["that breaks streams off", broken, 3],
])("behind a proxy %s, events come by pages: what is there, and what comes", async (_, proxy, streams) => {
  await script.appendToStream("Stock-1", [filled(1), filled(2)]);
  const reading = tail(proxy);
  const first = await next(reading);
  expect(first.data).toBe(1);
  expect(first.after).toBeLessThanOrEqual(11_000);
  expect((await next(reading)).data).toBe(2);
  for (const data of [3, 4, 5]) {
    const coming = next(reading);
    await script.appendToStream(`Stock-${data}`, [filled(data)]);
    const { data: read, after } = await coming;
    expect(read).toBe(data);
    expect(after).toBeLessThanOrEqual(5_100);
  }
  expect(asked.filter((what) => what === "stream")).toHaveLength(streams);
});

test("while there is no news it asks every few seconds, and for server-sent events again after five minutes", async () => {
  await script.appendToStream("Stock-1", [filled(1)]);
  let isHeldBack = true;
  const reading = tail((answer, init) => (isHeldBack ? collecting(answer, init) : answer()));
  expect((await next(reading)).data).toBe(1);
  const coming = next(reading);
  isHeldBack = false;
  while (asked.filter((what) => what === "stream").length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(asked.filter((what) => what === "page").length).toBeGreaterThan(300 / 5);
  expect(asked.filter((what) => what === "page").length).toBeLessThan(300);
  await script.appendToStream("Stock-1", [filled(2)]);
  expect((await coming).data).toBe(2);
  expect(asked.filter((what) => what === "stream")).toHaveLength(2);
});

test("pages keep to the filter, and pass over the rest once", async () => {
  const others = Array.from({ length: 30 }, (_, i) => filled(i));
  await script.appendToStream("Other-1", others);
  await script.appendToStream("Stock-1", [filled(100)]);
  const reading = tail(collecting, { category: "Stock" });
  expect((await next(reading)).data).toBe(100);
  const coming = next(reading);
  await script.appendToStream("Other-1", others);
  await script.appendToStream("Stock-1", [filled(101)]);
  expect((await coming).data).toBe(101);
});

test("a stream that works is kept: no page is asked for", async () => {
  await script.appendToStream("Stock-1", [filled(1)]);
  const reading = tail((answer) => answer());
  for (const data of [1, 2, 3]) {
    const coming = next(reading);
    await script.appendToStream("Stock-1", [filled(data + 1)]);
    expect((await coming).data).toBe(data);
  }
  expect(asked).toEqual(["stream"]);
});

test("a token that expires long after the connection once failed is asked for again", async () => {
  await script.appendToStream("Stock-1", [filled(1)]);
  let connections = 0;
  const problem = 'event: problem\ndata: {"code":"unauthenticated","status":401,"title":"x","detail":"The token has expired."}\n\n';
  const reading = tail(
    async (answer) => {
      connections++;
      if (connections === 1) throw new TypeError("Failed to fetch");
      if (connections > 2) return answer();
      const { status, headers } = await answer();
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(': alive\n\nevent: log\ndata: {"log":"LOG","head":0}\n\n'.replace("LOG", log)));
          setTimeout(() => controller.enqueue(new TextEncoder().encode(problem)), 30_000);
        },
      });
      return new Response(body, { status, headers });
    },
    { token: () => "abc" },
  );
  const { log } = await script.health();
  expect((await next(reading)).data).toBe(1);
  expect(asked).toEqual(["stream", "stream", "stream"]);
});

test("a store that is replaced while a tail waits for news: the tail does not read on in the other log", async () => {
  await script.appendToStream("Stock-1", [filled(1)]);
  const { log } = await script.health();
  const { value: first } = await script.readAll().next();
  let connections = 0;
  const reading = tail(async (answer) => {
    connections++;
    if (connections === 2) {
      await edge.close();
      edge = await openMemoryEdge(createEdge());
      await script.appendToStream("Stock-1", [filled(100), filled(101)]);
    }
    const response = await answer();
    // The first connection ends behind the first event.
    if (connections > 1) return response;
    const messages = [`event: log\ndata: ${JSON.stringify({ log, head: 1 })}`, `id: 1\ndata: ${JSON.stringify(first)}`];
    return new Response(messages.map((message) => `${message}\n\n`).join(""), response);
  });
  expect((await next(reading)).data).toBe(1);
  await expect(next(reading)).rejects.toBeInstanceOf(LogMismatchError);
});
