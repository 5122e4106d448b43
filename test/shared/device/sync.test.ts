import { expect, test } from "vitest";
import type { PendingEntry } from "../../../shared/device/outbox.ts";
import { NEW_REPLICA } from "../../../shared/device/replica.ts";
import { advance, type SyncEffect, type SyncInput, type SyncState, startSync, type Unsent } from "../../../shared/device/sync.ts";
import { UnavailableError } from "../../../shared/errors.ts";
import { toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import type { PushAnswer } from "../../../shared/wire/wire.ts";

const LOG = "5b6f6a44-41c2-4d5a-9a39-6f0c3ce7f6ad";
const SETTINGS = {
  automatic: false,
  pageEvents: 1000,
  push: { commits: 1, streams: 1, size: 1024 },
  pollEvery: 5_000,
  feedSocket: false,
} as const;

function unsent(seq: number): Unsent {
  const streamId = parseStreamId(`S-${seq}`);
  const event = { id: `id-${seq}`, type: "E", schemaVersion: 1, data: null, metadata: {}, occurredAt: "2026-01-01T00:00:00Z" };
  const entry: PendingEntry = {
    state: "pending",
    seq,
    streamId,
    expectedVersion: 0,
    events: [event],
    firstVersion: toVersion(1),
    confirmed: 0,
  };
  return { entry, size: 100 };
}

/** A machine, and the last effect of each kind. */
class Driven {
  #state: SyncState = startSync(SETTINGS, { ...NEW_REPLICA, authority: "edge", log: LOG });
  readonly #effects = new Map<string, SyncEffect>();

  give(input: SyncInput): void {
    const step = advance(this.#state, input, 0);
    this.#state = step.state;
    for (const effect of step.effects) this.#effects.set(effect.kind, effect);
  }

  /** The effect of a kind that is to be performed; it is asked for once. */
  take<K extends SyncEffect["kind"]>(kind: K): SyncEffect & { kind: K } {
    const effect = this.#effects.get(kind);
    expect(effect, kind).toBeDefined();
    this.#effects.delete(kind);
    return effect as SyncEffect & { kind: K };
  }

  has(kind: SyncEffect["kind"]): boolean {
    return this.#effects.has(kind);
  }

  /** The edge takes what is pushed. */
  push(): void {
    const { request, batch } = this.take("push");
    const results = batch.map(({ streamId }) => ({ status: "committed" as const, streamId, firstVersion: 1, version: 1, position: null }));
    this.give({ kind: "push-answered", request, answer: { log: LOG, results } as PushAnswer });
  }

  /** The feed is looked at, and brings these. */
  pull(position: number, left: readonly number[]): void {
    const { request } = this.take("pull");
    const ends = { log: LOG, position, head: position };
    this.give({ kind: "page-received", request, page: { ...ends, events: [] } });
    this.take("apply");
    this.give({ kind: "page-applied", request, replica: { ...NEW_REPLICA, ...ends, authority: "edge" }, left, changed: [] });
  }

  outbox(...seqs: number[]): void {
    const { request } = this.take("read-outbox");
    this.give({ kind: "outbox-read", request, unsent: seqs.map(unsent), isEnd: false });
  }
}

test("a page is applied with what the edge has answered, and one is requested after a conflict", () => {
  const machine = new Driven();
  machine.give({ kind: "called" });
  machine.pull(0, []);
  machine.outbox(1);
  const { request, batch } = machine.take("push");
  const [entry] = batch;
  expect(entry?.seq).toBe(1);
  const conflict = { status: "conflict", streamId: "S-1", expectedVersion: 0, actualVersion: 2 };
  machine.give({ kind: "push-answered", request, answer: { log: LOG, results: [conflict] } as PushAnswer });
  const page = { log: LOG, position: 2, head: 2, events: [] };
  machine.give({ kind: "page-received", request: machine.take("pull").request, page });
  expect([...machine.take("apply").awaited]).toEqual([[1, { streamId: "S-1", kind: "contested" }]]);
});

test("a feed that is always a little behind a long push does not lag", () => {
  const machine = new Driven();
  machine.give({ kind: "called" });
  machine.pull(0, []);
  machine.outbox(1);
  for (let seq = 1; seq <= 100; seq++) {
    machine.push();
    machine.give({ kind: "timer", timer: "lag" });
    machine.pull(seq - 1, seq === 1 ? [] : [seq - 1]);
    machine.outbox(seq + 1);
  }
  expect(machine.has("failed")).toBe(false);
});

test("a feed that does not bring the oldest of what was pushed lags, whatever else it brings, and all is sent again", () => {
  const machine = new Driven();
  machine.give({ kind: "called" });
  machine.pull(0, []);
  machine.outbox(1);
  machine.push();
  for (let seq = 2; !machine.has("failed"); seq++) {
    expect(seq).toBeLessThan(20);
    machine.outbox(seq);
    machine.push();
    machine.give({ kind: "timer", timer: "lag" });
    if (!machine.has("failed")) machine.pull(seq - 1, [seq]);
  }
  expect(machine.take("failed").error).toBeInstanceOf(UnavailableError);
  machine.give({ kind: "called" });
  machine.outbox(1);
  expect(machine.take("push").batch.map(({ seq }) => seq)).toEqual([1]);
});
