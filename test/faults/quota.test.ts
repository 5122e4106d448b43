/** A browser that has no space left for the site. */
import { describe, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { BACKENDS } from "../../scripts/engines.mjs";
import { incompressible, Random } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { converged, dumpOf, feedOf, open, statusOf } from "./devices.ts";
import { faultGround } from "./ground.ts";

/** Bytes. */
const QUOTA = 1_000_000;

/** Characters that an append of `large` brings. */
const LARGE = 48_000;

describe.each(Object.entries(BACKENDS))("Chromium with %s", (_, args) => {
  const ground = faultGround("test/faults/page.ts", args);

  test("quota exceeded: the append rejects with its own error and nothing of it is kept; reads go on, and with room all is well", {
    timeout: 120_000,
  }, async () => {
    const url = `${ground.edge.url}/v1/quota`;
    const page = await ground.newPage();
    const session = await page.context().newCDPSession(page);
    // Told before the database is opened: the browser remembers for half a minute how much room there was.
    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(ground.server.url).origin, quotaSize: QUOTA });
    await open(page, { name: "quota", url, pollEvery: 300, timeout: 3_000 });
    const append = (commit: string) =>
      page.evaluate(
        (name) =>
          window.device.append("Note-1", name, "any").then(
            () => "recorded",
            (error: { code?: string }) => error.code,
          ),
        commit,
      );
    expect(await append("before")).toBe("recorded");
    await converged([page], url);

    let recorded = 1;
    const random = new Random(SEED);
    const large = (n: number) => append(`${n} ${incompressible(random, LARGE)}`);
    await expect
      .poll(
        async () => {
          const outcome = await large(recorded);
          if (outcome === "recorded") recorded++;
          return outcome;
        },
        { timeout: 60_000, interval: 1 },
      )
      .toBe("store-full");
    expect(recorded).toBeGreaterThan(1);
    // What was recorded is there, and what was refused is not.
    const here = await dumpOf(page, ["Note-1"]);
    expect(here.streams["Note-1"]).toHaveLength(recorded);
    await connectStore({ url }).appendToStream("Note-1", [{ type: "Marked", data: { commit: "elsewhere", n: 0, of: 1 } }]);

    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(ground.server.url).origin });
    await expect.poll(() => append("after"), { timeout: 20_000 }).toBe("recorded");
    await converged([page], url);
    const commits = (await feedOf(url)).map(({ data }) => (data as { commit: string }).commit);
    expect(commits).toContain("elsewhere");
    expect(commits).toContain("after");
    expect(commits).toHaveLength(recorded + 2);
    expect((await statusOf(page)).conflicts).toBe(0);
  });
});
