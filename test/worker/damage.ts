/** What storage may do to an object of the edge: change a byte, or go back to an older copy. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import type { TestStore } from "./edge-calls.ts";

type Row = { last_position: number; events: string };

/** Changes the stored text of the log's row that ends at a position. */
export async function damageLog(store: TestStore, lastPosition: number, change: (events: string) => string): Promise<void> {
  await runInDurableObject<DurableObject, void>(store.log(), (_, { storage: { sql } }) => {
    const { events } = sql.exec<Row>("SELECT * FROM runs WHERE last_position = ?", lastPosition).one();
    sql.exec("UPDATE runs SET events = ? WHERE last_position = ?", change(events), lastPosition);
  });
  await evictDurableObject(store.log());
}

/** Removes the log's row that ends at a position. @param isAwake the log keeps what it has in memory */
export async function loseRow(store: TestStore, lastPosition: number, isAwake = false): Promise<void> {
  await runInDurableObject<DurableObject, void>(store.log(), (_, { storage: { sql } }) => {
    sql.exec("DELETE FROM runs WHERE last_position = ?", lastPosition);
  });
  if (!isAwake) await evictDurableObject(store.log());
}

/** Changes the stored text of a stream's run that ends at a version. */
export async function damageStream(
  store: TestStore,
  streamId: string,
  lastVersion: number,
  change: (events: string) => string,
): Promise<void> {
  await runInDurableObject<DurableObject, void>(store.stream(streamId), (_, { storage: { kv } }) => {
    const key = String(lastVersion).padStart(16, "0");
    const value = kv.get<{ events: Uint8Array }>(key);
    if (value === undefined) throw new Error(`${streamId} has no run that ends at ${lastVersion}`);
    const events = change(new TextDecoder().decode(value.events));
    kv.put(key, { ...value, events: new TextEncoder().encode(events) });
  });
  await evictDurableObject(store.stream(streamId));
}

/** The stream's object as it was when it had so many versions; 0: as if it had never been. Its alarm is lost too. */
export async function putStreamBack(store: TestStore, streamId: string, version: number): Promise<void> {
  await runInDurableObject<DurableObject, Promise<void>>(store.stream(streamId), async (_, { storage }) => {
    for (const [key] of Array.from(storage.kv.list())) if (Number(key) > version) storage.kv.delete(key);
    await storage.deleteAlarm();
  });
  await evictDurableObject(store.stream(streamId));
}

/** The log's object as it was at a position. */
export async function putLogBack(store: TestStore, position: number): Promise<void> {
  await runInDurableObject<DurableObject, Promise<void>>(store.log(), async (_, { storage }) => {
    storage.sql.exec("DELETE FROM runs WHERE last_position > ?", position);
    await storage.deleteAlarm();
  });
  await evictDurableObject(store.log());
}

/** An object of the log's class, as after a deletion of its files. */
export async function loseObject(object: ReturnType<TestStore["log"]>): Promise<void> {
  await runInDurableObject<DurableObject, Promise<void>>(object, async (_, { storage }) => {
    await storage.deleteAlarm();
    await storage.deleteAll();
  });
  await evictDurableObject(object);
}

/** Changes one letter of an event's data. */
export function flipped(events: string): string {
  return events.replace("kept", "kfpt");
}
