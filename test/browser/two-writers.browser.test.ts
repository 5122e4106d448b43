/** Two people write one document, each offline for some of the time, replayed from a trace of a real document. */
import { expect, inject, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { openStore, type Store } from "../../client/index.ts";
import { readTransactions, type Transaction } from "./real-input.ts";

const edge = inject("edgeUrl");
const STREAM = "Document-1";
/** Transactions of the trace while neither's network changes. */
const STRETCH = 300;
/** Who is online in each stretch, over and over: both, one, the other, nobody. */
const ONLINE = [
  [true, true],
  [false, true],
  [true, false],
  [false, false],
] as const;
/** Appends that a device asks for at once. */
const AT_ONCE = 50;

interface Writer {
  readonly store: Store;
  isOnline: boolean;
}

async function openWriter(name: string, url: string): Promise<Writer> {
  const writer = { isOnline: true };
  const switched: typeof fetch = (...request) => (writer.isOnline ? fetch(...request) : Promise.reject(new TypeError("offline")));
  return Object.assign(writer, { store: await openStore({ name, sync: { url, fetch: switched } }) });
}

async function write({ store }: Writer, own: readonly Transaction[]): Promise<void> {
  for (let i = 0; i < own.length; i += AT_ONCE) {
    await Promise.all(
      own.slice(i, i + AT_ONCE).map((transaction) => store.appendToStream(STREAM, [{ type: "Edited", data: transaction }])),
    );
  }
}

test("friendsforever: both devices and the edge end with the same stream, each transaction once, each writer's in order", {
  timeout: 600_000,
}, async () => {
  const transactions = (await readTransactions()).slice(0, inject("lines").transactions);
  const url = `${edge}/v1/friends-${crypto.randomUUID().slice(0, 8)}`;
  const writers = await Promise.all(["first", "second"].map((name) => openWriter(`${name}-${url}`, url)));
  let changes = 0;
  for (let start = 0, turn = 0; start < transactions.length; start += STRETCH, turn++) {
    const stretch = transactions.slice(start, start + STRETCH);
    await Promise.all(
      writers.map(async (writer, agent) => {
        const isOnline = ONLINE[turn % ONLINE.length]?.[agent] ?? true;
        if (writer.isOnline !== isOnline) changes++;
        writer.isOnline = isOnline;
        await write(
          writer,
          stretch.filter((transaction) => transaction.agent === agent),
        );
      }),
    );
  }
  expect(changes).toBeGreaterThan(10);
  for (const writer of writers) writer.isOnline = true;
  // Each in turn, and the first once more for what the second still had.
  for (const at of [0, 1, 0]) await writers[at]?.store.sync();
  for (const { store } of writers) expect(store.status).toMatchObject({ pending: 0, conflicts: 0, head: transactions.length });

  const atEdge = (await connectStore({ url }).readStream(STREAM)).events;
  expect(atEdge).toHaveLength(transactions.length);
  expect(new Set(atEdge.map(({ id }) => id)).size).toBe(transactions.length);
  for (const { store } of writers) expect((await store.readStream(STREAM)).events).toEqual(atEdge);
  for (const [agent, { store }] of writers.entries()) {
    const own = atEdge.map(({ data }) => data as unknown as Transaction).filter((transaction) => transaction.agent === agent);
    expect(own).toEqual(transactions.filter((transaction) => transaction.agent === agent));
    await store.close();
  }
});
