/**
 * An app whose listeners all throw; it prints what happened. `listeners.test.ts` runs it in a process of its own, because the errors are
 * uncaught.
 */
import "fake-indexeddb/auto";
import { type AppendResult, openStore } from "../../../client/index.ts";

const uncaught: string[] = [];
process.on("uncaughtException", (error) => uncaught.push(error.message));

const counter = { name: "counter", version: 1, initialState: 0, evolve: (state: number) => state + 1 };

const store = await openStore({ name: "listeners" });
const told: number[] = [];
store.liveStatus().subscribe(({ cursor }) => {
  if (cursor !== null) throw new Error("status");
});
const { promise: isTold, resolve } = Promise.withResolvers<void>();
const live = store.live("Note-1", counter);
const ends = [
  live.subscribe(() => {
    if (live.getSnapshot().version > 0) throw new Error("live");
  }),
  live.subscribe(({ version }) => {
    told.push(version);
    if (version === 2) resolve();
  }),
];
const table = await store.project({ name: "rows", version: 1, evolve: (row: number | undefined) => (row ?? 0) + 1 });
table.liveStatus().subscribe(({ position }) => {
  if (position > 0) throw new Error("table");
});
const results: AppendResult[] = [];
for (let i = 0; i < 2; i++) results.push(await store.appendToStream("Note-1", [{ type: "Noted", data: i }]));
await isTold;
await table.caughtUp();
const row = await table.get("Note-1");
for (const end of ends) end();
await store.close();
// What is uncaught comes in the turn after.
setImmediate(() =>
  console.log(JSON.stringify({ versions: results.map(({ version }) => version), told, row, uncaught: [...new Set(uncaught)].sort() })),
);
