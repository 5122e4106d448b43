/** The status while the database is read and written at the same time. */
import "fake-indexeddb/auto";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { Database } from "../../../client/storage/database.ts";
import { addToOutbox, replicaOf, type WriteTx, whole } from "../../../client/storage/device-log.ts";
import { OutboxPart } from "../../../client/storage/outbox.ts";
import { Overview } from "../../../client/sync/overview.ts";
import { StatusBoard } from "../../../client/sync/status.ts";
import type { Replica } from "../../../shared/device/replica.ts";
import { toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";

/** More turns of the event loop than a refresh takes. */
const TURNS = 40;

function device() {
  const database = new Database(crypto.randomUUID(), globalThis, {}, { onEnded: () => undefined, onReopened: () => undefined });
  const board = new StatusBoard("local");
  const replicas: Replica[] = [];
  const overview = new Overview({
    database,
    board,
    ending: new AbortController().signal,
    // As long as it takes to read some parked commits.
    readConflicts: async () => {
      for (let turn = 0; turn < 10; turn++) await setImmediate();
      return [];
    },
    onReplica: (replica) => replicas.push(replica),
  });
  /** Runs `work` in one transaction, as an append or a page does. */
  const write = <T>(work: (tx: WriteTx) => Promise<T>) =>
    database.run((db) => {
      const tx: WriteTx = db.transaction(["events", "parked", "meta"], "readwrite");
      return whole(tx, () => work(tx));
    });
  return { database, board, overview, replicas, write };
}

/** As if a page of the feed had ended at the next position. */
async function turnPage(tx: WriteTx): Promise<Replica> {
  const before = await replicaOf(tx);
  const replica: Replica = { ...before, log: "a-log", position: before.position + 1, head: before.position + 1 };
  await tx.objectStore("meta").put(replica, "history");
  return replica;
}

async function park(tx: WriteTx): Promise<void> {
  const reason = { code: "forbidden", message: "no", actualVersion: toVersion(0) } as const;
  await tx.objectStore("parked").put({ seq: 1, streamId: parseStreamId("B-1"), expectedVersion: "any", reason, events: "[]" });
}

async function append(tx: WriteTx): Promise<void> {
  const body = {
    id: crypto.randomUUID(),
    type: "Noted",
    schemaVersion: 1,
    data: null,
    metadata: {},
    occurredAt: "2026-01-01T00:00:00.000Z",
  };
  const commit = { streamId: parseStreamId("A-1"), expectedVersion: "any", events: [body] } as const;
  await Promise.all(addToOutbox(tx, [{ ...commit, state: "pending", firstVersion: toVersion(1), confirmed: 0 }]));
}

async function discard(tx: WriteTx): Promise<void> {
  const outbox = await OutboxPart.readAll(tx);
  for (const { seq } of outbox.entries("A-1")) outbox.remove(seq);
  await outbox.write(tx);
}

test.each([0, 1])(
  "with %i parked commits: a position that was read before a page was applied is not published after it",
  async (parked) => {
    const { database, board, overview, replicas, write } = device();
    if (parked > 0) await write(park);
    const seen: number[] = [];
    const positionOf = ({ cursor }: { readonly cursor: { readonly position: number } | null }) => cursor?.position ?? 0;
    board.live.subscribe((status) => seen.push(positionOf(status)));
    for (let turns = 0; turns < TURNS; turns++) {
      const refreshed = overview.refresh();
      for (let turn = 0; turn < turns; turn++) await setImmediate();
      const replica = await write(turnPage);
      overview.written(0, replica, false);
      await refreshed;
      expect(positionOf(board.current), `a page after ${turns} turns`).toBe(replica.position);
      await overview.refresh();
    }
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(replicas.map(({ position }) => position)).toEqual(replicas.map(({ position }) => position).toSorted((a, b) => a - b));
    expect(board.current).toMatchObject({ cursor: { position: TURNS }, conflicts: parked });
    await database.close();
  },
);

test.each([0, 1])(
  "with %i parked commits: what is appended and discarded while it is counted is counted right, however often",
  async (parked) => {
    const { database, board, overview, write } = device();
    if (parked > 0) await write(park);
    // As a store does before it is open.
    await overview.refresh();
    const refreshes: Promise<void>[] = [];
    let pending = 0;
    for (let turns = 0; turns < TURNS; turns++) {
      refreshes.push(overview.refresh());
      for (let turn = 0; turn < turns % 10; turn++) await setImmediate();
      const isFull = pending === 3;
      await write(isFull ? discard : append);
      overview.written(isFull ? -pending : 1, undefined, false);
      pending = isFull ? 0 : pending + 1;
      expect(board.current.pending, `a write after ${turns} turns`).toBe(pending);
    }
    await Promise.all(refreshes);
    expect(board.current.pending).toBe(pending);
    await database.close();
  },
);
