/** The election of the tab that syncs, while locks are denied and when leading fails. */
import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Database } from "../../../client/storage/database.ts";
import { leaseOf } from "../../../client/storage/device-log.ts";
import { Election, type Lead } from "../../../client/sync/election.ts";
import { stubDeniedLocks } from "../../support/denied-locks.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Leads until its tab is closed or deposed. */
const leading: Lead = (_, deposed) => new Promise((resolve) => deposed.addEventListener("abort", () => resolve("done")));

/** A device whose tabs are candidates. */
function device() {
  const name = crypto.randomUUID();
  const database = new Database(name, globalThis, {}, { onEnded: () => undefined, onReopened: () => undefined });
  const tab = (lead: Lead) => {
    const failures: unknown[] = [];
    const closing = new AbortController();
    const untilClosed: Lead = (term, deposed) => lead(term, AbortSignal.any([deposed, closing.signal]));
    const election = new Election(name, database, untilClosed, (error) => failures.push(error), closing.signal);
    return { election, failures, closing };
  };
  const beat = () => database.run(async (db) => (await leaseOf(db.transaction(["lease"], "readonly"))).beat);
  return { name, database, tab, beat };
}

test("a leader writes its beat although the browser denies locks: another tab may wait", async () => {
  const { name, database, tab, beat } = device();
  const { election, failures, closing } = tab(leading);
  const led = election.once();
  await vi.waitFor(async () => expect((await navigator.locks.query()).held?.map((lock) => lock.name)).toContain(`headwater:${name}`));
  await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await beat()).toBe(0);
  const locks = stubDeniedLocks();
  await vi.advanceTimersByTimeAsync(2_000);
  await vi.waitFor(async () => expect(await beat()).toBe(1));
  await vi.advanceTimersByTimeAsync(2_000);
  await vi.waitFor(async () => expect(await beat()).toBe(2));
  locks.isDenied = false;
  closing.abort();
  await led;
  expect(failures).toEqual([]);
  await database.close();
});

test("a candidate whose lock is denied says why, and leads when it no longer is", async () => {
  const { database, tab } = device();
  const locks = stubDeniedLocks();
  const lead = vi.fn(leading);
  const { election, failures, closing } = tab(lead);
  const campaign = election.campaign();
  await vi.waitFor(() => expect(failures).toEqual([expect.objectContaining({ code: "storage-failed" })]));
  locks.isDenied = false;
  await vi.advanceTimersByTimeAsync(100);
  await vi.waitFor(() => expect(lead).toHaveBeenCalledTimes(1));
  closing.abort();
  await campaign;
  await database.close();
});

test("a tab whose lead fails for a reason that nobody expected reports it, and can steal and be elected again", async () => {
  const { database, tab } = device();
  const mistake = new TypeError("a mistake in the code");
  const lead = vi.fn<Lead>(() => Promise.reject(mistake));
  const { election, failures, closing } = tab(lead);
  for (let times = 1; times <= 2; times++) {
    const stolen = election.steal();
    await vi.waitFor(() => expect(failures).toEqual(Array(times).fill(mistake)));
    await vi.advanceTimersByTimeAsync(2_000);
    await stolen;
  }
  const campaign = election.campaign();
  await vi.waitFor(() => expect(failures).toHaveLength(3));
  lead.mockImplementation(leading);
  await vi.advanceTimersByTimeAsync(2_000);
  await vi.advanceTimersByTimeAsync(100);
  await vi.waitFor(() => expect(lead).toHaveBeenCalledTimes(4));
  closing.abort();
  await campaign;
  await database.close();
});
