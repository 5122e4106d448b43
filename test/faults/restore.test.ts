/** An edge whose state is deleted, or restored from an older copy, while devices follow it. */
import { cp, rm } from "node:fs/promises";
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { converged, dumpOf, feedOf, open, settled, statusOf, sync } from "./devices.ts";
import { faultGround } from "./ground.ts";

const ground = faultGround();

async function openDevice(name: string, url: string): Promise<Page> {
  const page = await ground.newPage();
  await open(page, { name, url, pollEvery: 300, timeout: 3_000 });
  return page;
}

const connection = async (page: Page) => (await statusOf(page)).connection;
const append = (page: Page, streamId: string, commit: string, expectedVersion: number | "any") =>
  page.evaluate((given) => window.device.append(given.streamId, given.commit, given.expectedVersion), {
    streamId,
    commit,
    expectedVersion,
  });

/** The edge with another state: what `change` makes of its folder while it does not run. */
async function replaceState(change: () => Promise<void>): Promise<void> {
  await ground.edge.kill();
  await change();
  await ground.edge.start();
}

async function commitsIn(url: string): Promise<string[]> {
  return (await feedOf(url)).map(({ data }) => (data as { commit: string }).commit);
}

for (const fault of ["wiped", "rolled back, and grown since past where the device was"] as const) {
  test(`store ${fault}: the device stops and keeps all, and after a reset brings what only it has`, { timeout: 120_000 }, async () => {
    const id = crypto.randomUUID();
    const url = `${ground.edge.url}/v1/${id}`;
    const copy = `${ground.edge.state}-copy`;
    const device = await openDevice(id, url);
    await append(device, "Note-1", "early", "any");
    await settled(device);
    if (fault !== "wiped") await replaceState(() => cp(ground.edge.state, copy, { recursive: true }));
    await append(device, "Note-1", "lost 1", "any");
    await append(device, "Note-1", "lost 2", "any");
    await settled(device);
    const before = await dumpOf(device, ["Note-1"]);
    expect(before.log).toHaveLength(3);

    await replaceState(async () => {
      await rm(ground.edge.state, { recursive: true });
      if (fault !== "wiped") await cp(copy, ground.edge.state, { recursive: true });
    });
    const elsewhere = connectStore({ url });
    for (let i = 0; i < 4; i++)
      await elsewhere.appendToStream("Other-1", [{ type: "Marked", data: { commit: `theirs ${i}`, n: 0, of: 1 } }]);

    await expect.poll(() => connection(device), { timeout: 20_000 }).toBe("diverged");
    await append(device, "Note-1", "built on what is lost", 3);
    await append(device, "Note-2", "of itself", "any");
    expect(await sync(device)).toBe("log-mismatch");
    // Nothing was merged, neither here nor there, and nothing is gone.
    expect((await dumpOf(device, ["Note-1"])).log).toEqual(before.log);
    expect((await commitsIn(url)).filter((commit) => !commit.startsWith("theirs"))).toEqual(fault === "wiped" ? [] : ["early"]);
    expect(await device.evaluate(() => window.device.exported())).toEqual({ confirmed: 3, pending: 2, parked: 0 });

    await device.evaluate(() => window.device.reset());
    await expect.poll(() => connection(device), { timeout: 20_000 }).toBe("online");
    await settled(device);
    const after = await dumpOf(device, ["Note-1", "Note-2", "Other-1"]);
    expect(after.parked.map(({ events }) => (events[0]?.data as { commit: string } | undefined)?.commit)).toEqual([
      "built on what is lost",
    ]);
    expect(after.status).toMatchObject({ pending: 0, conflicts: 1 });
    expect(after.log).toEqual(await feedOf(url));
    expect(await commitsIn(url)).toContain("of itself");
    expect(await device.evaluate(() => window.device.rebaseAll())).toBe(1);
    await converged([device], url);
    expect(await commitsIn(url)).toContain("built on what is lost");
    await device.close();
    await rm(copy, { recursive: true, force: true });
  });
}
