/** What the edge and the app ask a device to wait: each wait is one that a timer can have, so that no request is repeated at once. */
import "fake-indexeddb/auto";
import { expect, test, vi } from "vitest";
import { openStore } from "../../../client/index.ts";
import { eventually } from "../../support/eventually.ts";

const url = "https://edge.example/v1/permits";
let count = 0;

/** A device at an edge that answers every request in this way, and the longest timer that it sets: its wait for the next request. */
async function devicesWaits(answer: () => Response, pollEvery?: number) {
  const asked: string[] = [];
  const timers = vi.spyOn(globalThis, "setTimeout");
  const fetch: typeof globalThis.fetch = async (input) => {
    asked.push(String(input));
    return answer();
  };
  const store = await openStore({ name: `waits-${++count}`, sync: { url, fetch, ...(pollEvery !== undefined && { pollEvery }) } });
  const longestTimer = () => Math.max(...timers.mock.calls.map(([, delay]) => delay ?? 0));
  // Longer than the timeout of a request.
  await eventually(() => expect(longestTimer()).toBeGreaterThan(30_000));
  const longest = longestTimer();
  timers.mockRestore();
  await store.close();
  return { asked, longest };
}

const YEAR = 31_536_000;

test.each<[string, () => Response]>([
  ["a proxy's seconds", () => new Response("busy", { status: 429, headers: { "retry-after": String(YEAR) } })],
  ["a proxy's time", () => new Response("busy", { status: 503, headers: { "retry-after": "Fri, 31 Dec 2100 23:59:59 GMT" } })],
  ["the edge's own seconds", () => Response.json({ status: 429, code: "too-many-requests", retryAfter: YEAR }, { status: 429 })],
  ["seconds without end", () => Response.json({ status: 429, code: "too-many-requests", retryAfter: 1e308 }, { status: 429 })],
])("Retry-After of a century: a device waits five minutes, and not no time (%s)", async (_, answer) => {
  const { asked, longest } = await devicesWaits(answer);
  expect(asked).toHaveLength(1);
  expect(longest).toBeGreaterThanOrEqual(300_000);
  expect(longest).toBeLessThanOrEqual(330_000);
});

test("pollEvery may be as long as a timer can wait, though a hidden web page polls twelve times less often", async () => {
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: true }));
  const page = { log: "l", events: [], position: 0, head: 0 };
  const { asked, longest } = await devicesWaits(() => Response.json(page), 2 ** 31 - 1);
  vi.unstubAllGlobals();
  expect(longest).toBe(2 ** 31 - 1);
  expect(asked.filter((address) => address.includes("/feed"))).toHaveLength(1);
});
