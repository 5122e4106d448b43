/** What a commit writes is what it costs: https://developers.cloudflare.com/durable-objects/platform/pricing/ */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { event, newStore, type TestStore } from "./edge-calls.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Rows written by the objects of a stream and its log while `work` runs; an alarm that is set counts as a row. */
async function rowsWritten(store: TestStore, streamId: string, work: () => Promise<unknown>): Promise<number> {
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  let alarms = 0;
  const watch = (_: unknown, state: DurableObjectState) => {
    const { exec } = state.storage.sql;
    const { setAlarm } = state.storage;
    vi.spyOn(state.storage.sql, "exec").mockImplementation(((query: string, ...bindings: SqlStorageValue[]) => {
      const cursor = exec.call(state.storage.sql, query, ...bindings);
      cursors.push(cursor);
      return cursor;
    }) as SqlStorage["exec"]);
    vi.spyOn(state.storage, "setAlarm").mockImplementation((time) => {
      alarms++;
      return setAlarm.call(state.storage, time);
    });
  };
  await runInDurableObject(store.stream(streamId), watch);
  await runInDurableObject(store.log(), watch);
  await work();
  return cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0) + alarms;
}

test.each([
  [1, 4],
  [100, 4],
])("a commit of %i events writes at most %i rows, all in all", async (size, most) => {
  const store = newStore();
  await store.append("A-1", 0, event());
  await runInDurableObject(store.stream("A-1"), async (instance, state) => {
    await state.storage.deleteAlarm();
    await instance.alarm(); // as after the burst before
  });
  const rows = await rowsWritten(store, "A-1", () => store.append("A-1", 1, ...Array.from({ length: size }, () => event())));
  console.log(`rows written: ${size} ${size === 1 ? "event" : "events"}: ${rows}`);
  expect(rows).toBeGreaterThanOrEqual(3);
  expect(rows).toBeLessThanOrEqual(most);
});
