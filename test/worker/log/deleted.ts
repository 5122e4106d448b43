/** The deletion of a store in tests: the operator's requests, and what is left in the objects. */
import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import type { StoreDeletion } from "../../../shared/wire/deletion.ts";
import { eventually } from "../../support/eventually.ts";
import { event, type TestStore } from "../edge-calls.ts";

export const GONE = { status: 410, body: { code: "store-deleted", retryAfter: 300, title: expect.stringContaining("deleted") } };

export async function send(store: TestStore, query: string): Promise<{ status: number; body: StoreDeletion & Record<string, unknown> }> {
  const { status, body } = await store.request(query, { method: "DELETE" });
  return { status, body: body as object as StoreDeletion & Record<string, unknown> };
}

export async function logOf(store: TestStore): Promise<string> {
  return (await send(store, "?dryRun=true")).body.log;
}

/** Sends the deletion until it is done. @returns how often */
export async function deleteAll(store: TestStore): Promise<number> {
  const log = await logOf(store);
  for (let count = 1; ; count++) {
    const { status, body } = await send(store, `?log=${log}`);
    expect(status).toBe(200);
    if (body.state === "deleted") return count;
  }
}

/** Pushes one event to each of so many streams. */
export async function fill(store: TestStore, streams: number): Promise<string[]> {
  const ids = Array.from({ length: streams }, (_, i) => `A-${i}`);
  for (let at = 0; at < ids.length; at += 20) {
    await store.push(...ids.slice(at, at + 20).map((streamId) => ({ streamId, events: [event()] })));
  }
  return ids;
}

interface Left {
  readonly keys: readonly string[];
  readonly alarm: number | null;
}

export function leftOf(object: DurableObjectStub): Promise<Left> {
  return runInDurableObject(object, async (_, { storage }) => ({
    keys: [...storage.kv.list()].map(([key]) => key),
    alarm: await storage.getAlarm(),
  }));
}

export const NOTE_ALONE = { keys: ["!deleted"], alarm: null };

export async function expectGone(store: TestStore, streams: readonly string[]): Promise<void> {
  for (const streamId of streams) expect([streamId, await leftOf(store.stream(streamId))]).toEqual([streamId, NOTE_ALONE]);
  await eventually(async () => expect(await leftOf(store.log())).toEqual({ keys: ["deleted"], alarm: null }));
  const tables = await runInDurableObject(store.log(), (_, { storage: { sql } }) => [
    sql.exec("SELECT * FROM runs").toArray(),
    sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'staged'").toArray(),
  ]);
  expect(tables).toEqual([[], []]);
}
