/** Work that one tab at a time does, while the browser denies Web Locks and after that. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { whileElected } from "../../../client/tools/elected.ts";
import { stubDeniedLocks } from "../../support/denied-locks.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A tab that is a candidate, and what happens in it. */
function candidate(lock: string | undefined) {
  const log: string[] = [];
  const ending = new AbortController();
  const begin = () => {
    log.push("begins");
    return () => void log.push("ends");
  };
  const elected = whileElected(lock, ending.signal, begin, (reason) => log.push(reason === undefined ? "allowed" : reason.message));
  const end = async () => {
    ending.abort();
    await elected;
  };
  return { log, end };
}

const DENIED = "The browser denies the Web Lock by which tabs elect one for this work: The person blocks it.";

test("a lock that is denied is requested again, however long that lasts, and its denial is reported once", async () => {
  const locks = stubDeniedLocks();
  const tab = candidate(crypto.randomUUID());
  await vi.advanceTimersByTimeAsync(60_000);
  expect(tab.log).toEqual([DENIED]);
  locks.isDenied = false;
  await vi.advanceTimersByTimeAsync(2_000);
  await vi.waitFor(() => expect(tab.log).toEqual([DENIED, "allowed", "begins"]));
  await tab.end();
  expect(tab.log).toEqual([DENIED, "allowed", "begins", "ends"]);
});

test("a tab whose request is allowed says so, also while another tab holds the lock", async () => {
  const lock = crypto.randomUUID();
  const first = candidate(lock);
  await vi.waitFor(() => expect(first.log).toEqual(["begins"]));
  const locks = stubDeniedLocks();
  const second = candidate(lock);
  await vi.waitFor(() => expect(second.log).toEqual([DENIED]));
  locks.isDenied = false;
  await vi.advanceTimersByTimeAsync(2_000);
  await vi.waitFor(() => expect(second.log).toEqual([DENIED, "allowed"]));
  await first.end();
  await vi.waitFor(() => expect(second.log).toEqual([DENIED, "allowed", "begins"]));
  await second.end();
});

test("a tab that loses the lock ends its work, and begins again when it gets the lock back", async () => {
  const lock = crypto.randomUUID();
  const tab = candidate(lock);
  await vi.waitFor(() => expect(tab.log).toEqual(["begins"]));
  const held = Promise.withResolvers<void>();
  const stolen = navigator.locks.request(lock, { steal: true }, () => held.promise);
  await vi.waitFor(() => expect(tab.log).toEqual(["begins", "ends", expect.stringContaining("denies")]));
  held.resolve();
  await stolen;
  await vi.advanceTimersByTimeAsync(2_000);
  await vi.waitFor(() => expect(tab.log.slice(3)).toEqual(["allowed", "begins"]));
  await tab.end();
});

test("a tab that ends while its lock is denied, or is granted just then, does no work", async () => {
  stubDeniedLocks();
  const denied = candidate(crypto.randomUUID());
  await denied.end();
  expect(denied.log).not.toContain("begins");
  const late = { request: (_: string, __: LockOptions, callback: () => Promise<void>) => Promise.resolve().then(callback) };
  vi.stubGlobal("navigator", { locks: late });
  const granted = candidate(crypto.randomUUID());
  await granted.end();
  expect(granted.log).toEqual([]);
});

test("without Web Locks, or without a name, the work begins at once", async () => {
  const own = candidate(undefined);
  vi.stubGlobal("navigator", {});
  const alone = candidate("a lock");
  for (const tab of [own, alone]) {
    expect(tab.log).toEqual(["begins"]);
    await tab.end();
    expect(tab.log).toEqual(["begins", "ends"]);
  }
});
