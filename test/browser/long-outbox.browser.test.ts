/** A long outbox in each engine: it is counted by an index of an array's length, and confirmed page by page. */
import { expect, inject, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { openStore } from "../../client/index.ts";

/** An outbox of fewer than 32 groups is read whole. */
const BURSTS = 40;
const STREAMS = 25;

test("many pending commits are counted by a tab that has read none of them, and confirmed once each", { timeout: 60_000 }, async () => {
  const id = crypto.randomUUID();
  const url = `${inject("edgeUrl")}/v1/${id}`;
  const open = () => openStore({ name: id, sync: { url, automatic: false } });
  const store = await open();
  let commits = 0;
  for (let burst = 1; burst <= BURSTS; burst++) {
    // Groups of different sizes.
    const sizes = Array.from({ length: 1 + (burst % 7) }, () => commits++);
    await Promise.all(sizes.map((number) => store.appendToStream(`Permit-${number % STREAMS}`, [{ type: "Noted", data: number }])));
  }
  const other = await open();
  expect(other.status.pending).toBe(commits);
  await other.close();

  await store.sync();
  expect(store.status).toMatchObject({ pending: 0, conflicts: 0, head: commits });
  const atEdge = connectStore({ url });
  for (let stream = 0; stream < STREAMS; stream++) {
    const own = Array.from({ length: commits }, (_, number) => number).filter((number) => number % STREAMS === stream);
    const { events } = await atEdge.readStream(`Permit-${stream}`);
    expect(events.map(({ data }) => data)).toEqual(own);
    expect((await store.readStream(`Permit-${stream}`)).events).toEqual(events);
  }
  await store.close();
});
