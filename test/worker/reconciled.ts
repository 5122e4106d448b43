/** Reconciliations in tests: a store to damage, its whole history as readers get it, and the calls of the command line. */
import { expect } from "vitest";
import type { ReconciledLog, ReconciledStream } from "../../shared/wire/reconcile.ts";
import { event, newStore, type TestStore } from "./edge-calls.ts";

/** Positions 1 to 9: A-1@1–2 in one row, B-1@1, A-1@3–4 in one row, B-1@2, C-1@1, A-1@5, B-1@3. */
export async function filled(): Promise<TestStore> {
  const store = newStore();
  let count = 0;
  const kept = () => event("Kept", { is: "kept", and: ["ü", count++] });
  await store.append("A-1", 0, kept(), kept());
  await store.append("B-1", 0, kept());
  await store.append("A-1", 2, kept(), kept());
  await store.append("B-1", 1, kept());
  await store.append("C-1", 0, kept());
  await store.append("A-1", 4, kept());
  await store.append("B-1", 2, kept());
  return store;
}

/** All that readers get of a store: the feed with its mark, the streams, the list of them, and the health. */
export async function historyOf(store: TestStore): Promise<object> {
  const texts: unknown[] = [];
  for (const path of ["/feed", "/feed?limit=5", "/streams/A-1", "/streams/B-1", "/streams/C-1", "/streams"]) {
    const { status, body } = await store.request(path);
    texts.push([path, status, body]);
  }
  const { diverged, unpublished, events } = (await store.request("/health")).body as unknown as Record<string, number>;
  return { texts, diverged, unpublished, events };
}

/** Damages by name, with the places that have to be repaired. */
export type Damages = Readonly<Record<string, readonly [damage: (store: TestStore) => Promise<void>, first: number, last: number]>>;

/** A store with a damage, which readers can see, and its history before and after it. */
export async function damagedBy(
  damage: (store: TestStore) => Promise<void>,
): Promise<{ store: TestStore; before: object; damaged: object }> {
  const store = await filled();
  const before = await historyOf(store);
  await damage(store);
  const damaged = await historyOf(store);
  expect(damaged).not.toEqual(before);
  return { store, before, damaged };
}

/** @param runs events of a backup, from the position behind `after` on */
export async function reconcileLog(store: TestStore, dryRun = false, after = 0, runs: readonly object[] = []): Promise<ReconciledLog> {
  const { body } = await post(store, "/reconcile/log", { after, dryRun, runs });
  return body as unknown as ReconciledLog;
}

export async function reconcileStream(store: TestStore, streamId: string, more: object = {}): Promise<ReconciledStream | undefined> {
  const { dryRun = false, ...request } = more as { dryRun?: boolean };
  const { body } = await post(store, "/reconcile/streams", { dryRun, streams: [{ streamId, ...request }] });
  return (body as unknown as { streams: ReconciledStream[] }).streams?.[0];
}

function post(store: TestStore, path: string, body: object) {
  return store.request(path, { method: "POST", body: JSON.stringify(body) });
}
