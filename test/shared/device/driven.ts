/** A sync machine that a test drives: it gives inputs, and takes the effects that are to be performed. */
import { expect } from "vitest";
import type { PendingEntry } from "../../../shared/device/outbox.ts";
import { NEW_REPLICA, type Replica } from "../../../shared/device/replica.ts";
import {
  advance,
  type SyncEffect,
  type SyncInput,
  type SyncSettings,
  type SyncState,
  startSync,
  type Unsent,
} from "../../../shared/device/sync.ts";
import { toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import type { PushAnswer } from "../../../shared/wire/wire.ts";

export const LOG = "5b6f6a44-41c2-4d5a-9a39-6f0c3ce7f6ad";
export const SETTINGS = {
  automatic: false,
  pageEvents: 1000,
  push: { commits: 1, streams: 1, size: 1024 },
  pollEvery: 5_000,
  feedSocket: false,
} as const;

export function unsent(seq: number): Unsent {
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
export class Driven {
  #state: SyncState;
  readonly #effects = new Map<string, SyncEffect>();

  /** @param before the last state of the session before, in the same tab */
  constructor(settings: SyncSettings = SETTINGS, replica: Partial<Replica> = {}, before?: SyncState) {
    this.#state = startSync(settings, { ...NEW_REPLICA, authority: "edge", log: LOG, ...replica }, before);
  }

  get state(): SyncState {
    return this.#state;
  }

  /** @param random from 0 to below 1 */
  give(input: SyncInput, random = 0): void {
    const step = advance(this.#state, input, random);
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
