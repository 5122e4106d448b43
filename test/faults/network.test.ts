/**
 * Two tabs of a device behind a network that fails, and another device whose network works. All of them record all the time, to the same
 * streams. Then the network heals, and all must hold the same events, by themselves and without a reload.
 */
import { expect, test } from "vitest";
import { TcpProxy } from "../support/proxy.ts";
import { SEED } from "../support/seed.ts";
import { expectAgreement, expectAllAtEdge } from "./checks.ts";
import { converged, dumpOf, feedOf, open, settled, statusOf, sync, write } from "./devices.ts";
import { faultGround } from "./ground.ts";
import type { Report } from "./page.ts";

/** Of the tabs' requests, in milliseconds. */
const TIMEOUT = 1_500;
const STREAMS = ["Note-1", "Note-2", "Note-3"];
/** Commits to each stream by each page, each time that all append. */
const MOST = 8;

const ground = faultGround();

async function openWorld() {
  const id = crypto.randomUUID().slice(0, 8);
  const path = `/v1/network-${id}`;
  const url = ground.edge.url + path;
  const proxy = await TcpProxy.start(ground.edge.url);
  const tabs = [await ground.newPage(), await ground.newPage()];
  const other = await ground.newPage();
  const pages = [...tabs, other];
  for (const tab of tabs) await open(tab, { name: `tabs-${id}`, url: proxy.url + path, timeout: TIMEOUT, pollEvery: 500 });
  await open(other, { name: `other-${id}`, url, pollEvery: 500 });
  const reports: Report[] = [];

  /** All at once, each as fast as it can, whatever the network does. */
  async function append(part: string): Promise<void> {
    const writing = pages.map((page, i) => write(page, { name: `${part}.${i}`, exact: [], any: STREAMS, seed: SEED + i, most: MOST }));
    reports.push(...(await Promise.all(writing)).flat());
  }

  /** Everybody holds the same, everything that was ever appended is in it, and once. */
  async function inStep(): Promise<void> {
    await converged(pages, url);
    for (const page of pages) await settled(page);
    const feed = await feedOf(url);
    expect(reports.filter(({ kind }) => kind !== "appended")).toEqual([]);
    expectAllAtEdge(feed, reports);
    for (const page of pages) expectAgreement(await dumpOf(page, STREAMS), feed);
  }

  async function close(): Promise<void> {
    await Promise.all(pages.map((page) => page.close()));
    await proxy.close();
  }

  return { url, proxy, tabs, append, inStep, close };
}

type World = Awaited<ReturnType<typeof openWorld>>;

/** The fault meets connections that are open, and is followed by more appends. */
async function inWorld(fault: (world: World) => Promise<void>): Promise<void> {
  const world = await openWorld();
  try {
    await world.append("before");
    await world.inStep();
    await fault(world);
    world.proxy.heal();
    await world.append("after");
    await world.inStep();
  } finally {
    await world.close();
  }
}

/** The tabs have found out by themselves, and what they hold waits. */
async function expectOffline({ tabs }: World): Promise<void> {
  for (const tab of tabs) {
    await expect.poll(async () => (await statusOf(tab)).connection, { timeout: 30_000, interval: 50 }).toBe("offline");
    expect((await statusOf(tab)).pending).toBeGreaterThan(0);
  }
}

/** Of what the tabs appended in a part, how many commits the edge has. */
async function takenFromTabs({ url }: World, part: string): Promise<number> {
  const marks = (await feedOf(url)).map(({ data }) => JSON.stringify(data));
  return marks.filter((mark) => mark.includes(`"${part}.0.`) || mark.includes(`"${part}.1.`)).length;
}

const timeout = 180_000;

test(
  "accepted push, lost reply: the edge takes commits and nothing comes back, others append behind them, and each stands once",
  {
    timeout,
  },
  () =>
    inWorld(async (world) => {
      const { proxy, append } = world;
      proxy.inject({ kind: "drop-answers", from: "POST" });
      await append("unanswered");
      await expectOffline(world);
      await expect.poll(() => takenFromTabs(world, "unanswered")).toBeGreaterThan(0);
      expect(proxy.injected["drop-answers"]).toBeGreaterThan(0);
      await append("behind");
    }),
);

test("accepted push, half a reply: answers that break off in their head or in their body are no answers", { timeout }, () =>
  inWorld(async (world) => {
    const { proxy, append } = world;
    for (const bytes of [40, 500]) {
      const before = proxy.injected["cut-answers"];
      proxy.inject({ kind: "cut-answers", bytes });
      await append(`cut-${bytes}`);
      await expect.poll(() => proxy.injected["cut-answers"], { timeout: 40_000 }).toBeGreaterThan(before + 1);
      await expectOffline(world);
    }
  }),
);

test(
  "accepted push, late reply: a slow network only takes longer, and what arrives when nobody waits for it is not taken twice",
  {
    timeout,
  },
  () =>
    inWorld(async (world) => {
      const { proxy, append, inStep } = world;
      proxy.inject({ kind: "delay", milliseconds: 100 });
      await append("slow");
      await inStep();
      proxy.inject({ kind: "delay", milliseconds: TIMEOUT + 300 });
      await append("too slow");
      await expectOffline(world);
    }),
);

test("half-open socket: bytes stop in both directions and nothing is closed; a request ends by its own timeout", { timeout }, () =>
  inWorld(async (world) => {
    const { proxy, tabs, append } = world;
    proxy.inject({ kind: "blackhole" });
    await append("into the hole");
    await expectOffline(world);
    for (const tab of tabs) expect(await sync(tab)).toBe("unavailable");
    expect(proxy.injected.blackhole).toBeGreaterThan(0);
    await append("while offline");
  }),
);

test("connection refused: what was open is reset and nothing new is let through", { timeout }, () =>
  inWorld(async (world) => {
    world.proxy.inject({ kind: "refuse" });
    await world.append("refused");
    await expectOffline(world);
  }),
);

test("reset under load: an edge that is killed in the middle of pushes and started again has all of them once", { timeout }, () =>
  inWorld(async ({ proxy, append, inStep }) => {
    for (let kill = 0; kill < 2; kill++) {
      const before = proxy.requests.get("POST") ?? 0;
      const appending = append(`kill-${kill}`);
      await expect.poll(() => proxy.requests.get("POST") ?? 0, { timeout: 40_000, interval: 1 }).toBeGreaterThan(before);
      await ground.edge.kill();
      await appending;
      await ground.edge.start();
      await inStep();
    }
  }),
);
