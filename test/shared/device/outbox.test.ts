import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type ArrivedEvent,
  type AwaitedEntries,
  confirmsOnly,
  conflictReason,
  isHeld,
  lastVersionOf,
  type OutboxEntry,
  type ParkedEntry,
  type PendingEntry,
  reconcile as reconcileWith,
} from "../../../shared/device/outbox.ts";
import { rebaseParked } from "../../../shared/device/parked.ts";
import { parkRefused } from "../../../shared/device/rejected.ts";
import { parkUndecided, type Resolve } from "../../../shared/device/resolution.ts";
import type { EventBody } from "../../../shared/event/event.ts";
import { type ExpectedVersion, exactVersion } from "../../../shared/expected-version.ts";
import { toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import { SEED } from "../../support/seed.ts";

const streamId = parseStreamId("S-1");
const event = (id: string): EventBody => ({
  id,
  type: "E",
  schemaVersion: 1,
  data: null,
  metadata: {},
  occurredAt: "2026-01-01T00:00:00Z",
});

function pending(seq: number, firstVersion: number, ids: string[], expectedVersion: ExpectedVersion = firstVersion - 1): PendingEntry {
  return { state: "pending", seq, streamId, expectedVersion, events: ids.map(event), firstVersion: toVersion(firstVersion), confirmed: 0 };
}

/** What a page of the feed does: it ends where the stream does. */
function reconcile(entries: readonly PendingEntry[], arrived: readonly ArrivedEvent[], resolve: Resolve<ArrivedEvent> = parkUndecided) {
  return reconcileWith(entries, arrived, toVersion(arrived.at(-1)?.version ?? 0), resolve, [], { isBehind: false, awaited: new Map() });
}

const arrival = (id: string, version: number): ArrivedEvent => ({ ...event(id), version: toVersion(version) });
const arrive = (from: number, ...ids: string[]) => ids.map((id, i) => arrival(id, from + i));

test("own events settle their commits, and those behind stay where they are", () => {
  const [a, b] = [pending(1, 1, ["a1", "a2"]), pending(2, 3, ["b1"])];
  expect(reconcile([a, b], arrive(1, "a1", "a2"))).toEqual({ settled: [a], held: [], changed: [], discarded: [] });
});

test("a page that ends within a commit confirms a part, and the next one the rest", () => {
  const [a, b] = [pending(1, 1, ["a1", "a2", "a3"]), pending(2, 4, ["b1"])];
  const first = reconcile([a, b], arrive(1, "a1", "a2"));
  expect(first).toEqual({ settled: [], held: [], changed: [{ ...a, confirmed: 2 }], discarded: [] });
  const [half] = first.changed as PendingEntry[];
  expect(reconcile([half as PendingEntry, b], arrive(3, "a3"))).toEqual({ settled: [half], held: [], changed: [], discarded: [] });
});

test("an id that arrives for something else parks its commit, and nothing of it is dropped", () => {
  const [a, b] = [pending(1, 2, ["a1", "a2"], "any"), pending(2, 4, ["b"], "any")];
  const [a1, a2, x] = [arrival("a1", 2), arrival("a2", 3), arrival("x", 3)];
  const pages: [string, ArrivedEvent[]][] = [
    ["other content", [{ ...a1, data: "other" }, a2]],
    ["only some of them", [a1, x]],
    ["only a later one", [arrival("a2", 2)]],
    ["in another order", arrive(2, "a2", "a1")],
    ["scattered", [a1, x, arrival("a2", 4)]],
  ];
  for (const [name, page] of pages) {
    const { settled, changed } = reconcile([a, b], page);
    expect(settled, name).toEqual([]);
    expect(changed, name).toMatchObject([
      { seq: 1, state: "parked", events: a.events, reason: { code: "event-id-reused" } },
      { seq: 2, state: "parked", events: b.events, reason: { code: "event-id-reused" } },
    ]);
  }
  // Where the page ends behind the first, only the next one tells.
  const [begun, moved] = reconcile([a, b], [a1]).changed as [PendingEntry, PendingEntry];
  expect(begun).toEqual({ ...a, confirmed: 1 });
  expect(moved).toBeUndefined();
  expect(reconcile([begun, b], [x]).changed).toMatchObject([
    { seq: 1, state: "parked", events: a.events, reason: { code: "event-id-reused" } },
    { seq: 2, state: "parked" },
  ]);
});

test("others' events park an exact commit and all behind it, and move what says any", () => {
  const exact = [pending(1, 2, ["a"], 1), pending(2, 3, ["b"], "any")];
  const parked = reconcile(exact, arrive(2, "x"));
  expect(parked.changed.map((entry) => [entry.seq, entry.state])).toEqual([
    [1, "parked"],
    [2, "parked"],
  ]);
  expect(parked.changed[0]).toMatchObject({ reason: { code: "version-conflict", actualVersion: 2 } });
  const moving = [pending(1, 2, ["a", "b"], "any"), pending(2, 4, ["c"], "stream-exists"), pending(3, 5, ["d"], 4)];
  const moved = reconcile(moving, arrive(2, "x"));
  expect(moved.changed.map((entry) => [entry.seq, entry.state, entry.state === "pending" ? entry.firstVersion : undefined])).toEqual([
    [1, "pending", 3],
    [2, "pending", 5],
    [3, "parked", undefined],
  ]);
});

test("what was made on a commit that a rule discards is decided again, though the rest of a page's last commit makes its number right", () => {
  // Others took version 1. The page ends within A, whose rest will take version 3, where B was. B is discarded, and C was made on B.
  const [a, b, c] = [pending(1, 1, ["a1", "a2"], "any"), pending(2, 3, ["b1"]), pending(3, 4, ["c1"])];
  const asked: string[] = [];
  const { changed, discarded } = reconcile([a, b, c], arrive(1, "x", "a1"), ({ events }) => {
    asked.push(...events.map(({ id }) => id));
    return { kind: "discard" };
  });
  expect(asked).toEqual(["b1", "c1"]);
  expect(discarded).toEqual([b, c]);
  expect(changed).toEqual([{ ...a, firstVersion: 2, confirmed: 1 }]);
});

test("what was made on top of a commit that turns out to stand in front is decided again, though the number of its version is the right one", () => {
  // `b` was put behind `a`, and the edge has had it all the time: `c` would be on `a` now, where it was made on `b`.
  const [a, b, c] = [pending(1, 9, ["a"]), pending(2, 10, ["b"], "any"), pending(3, 11, ["c"])];
  const asked: string[] = [];
  const { settled, changed } = reconcile([a, b, c], arrive(9, "b"), ({ events }) => {
    asked.push(...events.map(({ id }) => id));
    return { kind: "rebase", events: events.map(({ id }) => event(`${id}'`)) };
  });
  expect(asked).toEqual(["a", "c"]);
  expect(settled).toEqual([b]);
  expect(changed).toMatchObject([
    { seq: 1, firstVersion: 10, expectedVersion: 9, events: [{ id: "a'" }] },
    { seq: 3, firstVersion: 11, expectedVersion: 10, events: [{ id: "c'" }] },
  ]);
});

/** A device that catches up with a stream page by page, and the rule that it asks: the rule puts another event in a commit's place. */
class CatchingUp {
  readonly asked: { readonly id: string | undefined; readonly expectedVersion: ExpectedVersion; readonly theirs: readonly string[] }[] = [];
  readonly awaited = new Map<number, { readonly streamId: string; readonly kind: "taken" | "contested" }>();
  readonly log: ArrivedEvent[];
  pending: readonly PendingEntry[];

  constructor(log: readonly ArrivedEvent[], ...entries: readonly PendingEntry[]) {
    this.log = [...log];
    this.pending = entries;
  }

  page(arrived: readonly ArrivedEvent[], isBehind: boolean) {
    this.log.push(...arrived);
    const resolve: Resolve<ArrivedEvent> = ({ events, expectedVersion, theirs }) => {
      this.asked.push({ id: events[0]?.id, expectedVersion, theirs: theirs.map(({ id }) => id) });
      return { kind: "rebase", events: events.map(({ id }) => event(`${id}'`)) };
    };
    const known = { isBehind, awaited: this.awaited satisfies AwaitedEntries };
    const reconciled = reconcileWith(this.pending, arrived, toVersion(this.log.length), resolve, this.log, known);
    const { settled, held, changed, discarded } = reconciled;
    const now = new Map([...held, ...changed].map((entry) => [entry.seq, entry]));
    const gone = new Set([...settled, ...discarded]);
    this.pending = this.pending
      .filter((entry) => !gone.has(entry))
      .map((entry) => now.get(entry.seq) ?? entry)
      .filter((entry) => entry.state === "pending");
    return reconciled;
  }
}

test("a commit that the edge has, contested by a page before its own, is held while the device is behind, and confirmed once", () => {
  const device = new CatchingUp(arrive(1, "t1", "t2"), pending(1, 3, ["mine"]));
  expect(device.page(arrive(3, "t3"), true)).toMatchObject({ changed: [], held: [{ firstVersion: 4, expectedVersion: 2 }] });
  expect(device.page(arrive(4, "t4"), true)).toMatchObject({ changed: [], held: [{ firstVersion: 5, expectedVersion: 2 }] });
  expect(device.pending.map(isHeld)).toEqual([true]);
  expect(device.page(arrive(5, "mine"), false)).toMatchObject({ settled: [{ seq: 1 }], changed: [], held: [] });
  expect([device.asked, device.pending]).toEqual([[], []]);
});

test("a held commit is resolved once, on all of theirs, when the device has caught up and the edge has said that it lacks the commit", () => {
  const device = new CatchingUp(arrive(1, "t1", "t2"), pending(1, 3, ["mine"]), pending(2, 4, ["more"]));
  device.page(arrive(3, "t3"), true);
  expect(device.pending).toMatchObject([
    { firstVersion: 4, expectedVersion: 2 },
    { firstVersion: 5, expectedVersion: 2 },
  ]);
  // The edge has answered, and the device is behind; then it is not behind, and another leader does not know of an answer.
  device.awaited.set(1, { streamId, kind: "contested" });
  device.page(arrive(4, "t4"), true);
  device.awaited.clear();
  device.page(arrive(5, "t5"), false);
  expect(device.asked).toEqual([]);
  device.awaited.set(1, { streamId, kind: "contested" });
  device.page([], false);
  expect(device.asked).toEqual([
    { id: "mine", expectedVersion: 2, theirs: ["t3", "t4", "t5"] },
    { id: "more", expectedVersion: 2, theirs: ["t3", "t4", "t5"] },
  ]);
  expect(device.pending).toMatchObject([
    { events: [{ id: "mine'" }], firstVersion: 6, expectedVersion: 5 },
    { events: [{ id: "more'" }], firstVersion: 7, expectedVersion: 6 },
  ]);
});

test("a commit that the edge has said to have is not resolved, and neither is what was made on it", () => {
  const device = new CatchingUp(arrive(1, "t1"), pending(1, 2, ["mine"]), pending(2, 3, ["more"]));
  device.awaited.set(1, { streamId, kind: "taken" }).set(2, { streamId, kind: "contested" });
  device.page(arrive(2, "t2"), false);
  expect(device.asked).toEqual([]);
  device.page(arrive(3, "mine"), false);
  expect(device.asked).toEqual([{ id: "more", expectedVersion: 1, theirs: ["t2"] }]);
});

test("what was made on a held commit stays, unless the commit is replaced; what moves by itself goes on moving", () => {
  const device = new CatchingUp(arrive(1, "t1"), pending(1, 2, ["any"], "any"), pending(2, 3, ["mine"]));
  device.page(arrive(2, "t2"), true);
  device.pending = [...device.pending, pending(3, 5, ["on top"])];
  device.page([], true);
  expect(device.pending).toMatchObject([
    { seq: 1, firstVersion: 3, expectedVersion: "any" },
    { seq: 2, firstVersion: 4, expectedVersion: 1 },
    { seq: 3, firstVersion: 5, expectedVersion: 4 },
  ]);
  device.awaited.set(2, { streamId, kind: "contested" });
  device.page([], false);
  expect(device.asked.map(({ id }) => id)).toEqual(["mine", "on top"]);
});

test("a held commit never expects a version at which the edge could take it, though the number of its version is the right one", () => {
  // `b` comes before `a`: `c` was made on both, and is on both, in another order.
  const device = new CatchingUp(arrive(1, "t1"), pending(1, 2, ["a"], "any"), pending(2, 3, ["b"], "any"), pending(3, 4, ["c"]));
  expect(device.page(arrive(2, "b"), true).changed).toMatchObject([
    { seq: 1, firstVersion: 3 },
    { seq: 3, firstVersion: 4, expectedVersion: 1 },
  ]);
  expect(device.asked).toEqual([]);
});

test("a parked commit that is rebased stands behind everything, on the version that it finds", () => {
  const entry = pending(1, 2, ["a"], 1);
  const [parked] = parkRefused([entry], [{ entry, reason: conflictReason(1, toVersion(4)), isAlone: false }]) as [ParkedEntry];
  const facts = { version: toVersion(6), recorded: new Map() };
  const behind = { state: "pending", seq: 9, expectedVersion: 6, firstVersion: 7, confirmed: 0 };
  expect(rebaseParked(parked, 9, facts)).toMatchObject({ kind: "rebased", entry: behind });
  const recorded = (body: EventBody) => new Map([["a", { ...body, version: toVersion(5) }]]);
  expect(rebaseParked(parked, 9, { ...facts, recorded: recorded(event("a")) })).toMatchObject({ kind: "duplicate" });
  const other = rebaseParked(parked, 9, { ...facts, recorded: recorded({ ...event("a"), data: "other" }) });
  expect(other).toMatchObject({ kind: "refused", code: "event-id-reused" });
});

test("pending conservation: whatever arrives, is refused, rebased or discarded: created = confirmed + pending + parked + discarded, in order", () => {
  const size = fc.integer({ min: 1, max: 3 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("append" as const), size, exact: fc.boolean() }),
    fc.record({ kind: fc.constant("push" as const), count: size }),
    fc.record({ kind: fc.constant("others" as const), size }),
    fc.record({ kind: fc.constant("pull" as const), events: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant("resolve" as const), which: fc.nat(), rebase: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const edge: string[] = [];
      let applied = 0;
      let seq = 0;
      let created = 0;
      let confirmed = 0;
      let discarded = 0;
      let outbox: OutboxEntry[] = [];
      const pendings = () => outbox.filter((entry) => entry.state === "pending");
      const version = () => {
        const last = pendings().at(-1);
        return last === undefined ? toVersion(applied) : lastVersionOf(last);
      };
      const replace = (changed: readonly OutboxEntry[]) => {
        outbox = outbox.map((entry) => changed.find((other) => other.seq === entry.seq) ?? entry);
      };
      for (const given of steps) {
        if (given.kind === "append") {
          const ids = Array.from({ length: given.size }, (_, i) => `own-${created}-${i}`);
          outbox.push(pending(++seq, version() + 1, ids, given.exact ? version() : "any"));
          created++;
        } else if (given.kind === "others") {
          for (let i = 0; i < given.size; i++) edge.push(`other-${edge.length}`);
        } else if (given.kind === "push") {
          for (const entry of pendings().slice(0, given.count)) {
            const recorded = edge.includes(entry.events[0]?.id ?? "");
            if (recorded) continue;
            if ((exactVersion(entry.expectedVersion) ?? edge.length) !== edge.length) {
              const reason = conflictReason(entry.expectedVersion, toVersion(edge.length));
              replace(parkRefused(pendings(), [{ entry, reason, isAlone: false }]));
              break;
            }
            edge.push(...entry.events.map(({ id }) => id));
          }
        } else if (given.kind === "pull") {
          const ids = edge.slice(applied, applied + given.events);
          if (ids.length === 0) continue;
          const { settled, changed } = reconcile(pendings(), arrive(applied + 1, ...ids));
          applied += ids.length;
          replace(changed);
          outbox = outbox.filter((entry) => !settled.some((other) => other.seq === entry.seq));
          confirmed += settled.length;
        } else {
          const parked = outbox.filter((entry) => entry.state === "parked");
          const chosen = parked[given.which % Math.max(1, parked.length)];
          if (chosen === undefined) continue;
          outbox = outbox.filter((entry) => entry.seq !== chosen.seq);
          const rebase = rebaseParked(chosen, ++seq, { version: version(), recorded: new Map() });
          if (given.rebase && rebase.kind === "rebased") outbox.push(rebase.entry);
          else discarded++;
        }
        expect(outbox.length + confirmed + discarded).toBe(created);
        expect(new Set(outbox.map((entry) => entry.seq)).size).toBe(outbox.length);
        let next = applied + 1;
        for (const entry of pendings()) {
          expect(entry.firstVersion + entry.confirmed).toBe(next);
          next = lastVersionOf(entry) + 1;
        }
        expect(new Set(edge).size).toBe(edge.length);
      }
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

/** What happens at the edge, between pages: it records the device's next commits, or others' events. */
const HAPPENINGS = fc.array(
  fc.record({ isOwn: fc.boolean(), count: fc.integer({ min: 1, max: 4 }), cut: fc.integer({ min: 0, max: 3 }) }),
  {
    minLength: 1,
    maxLength: 12,
  },
);
const COMMITS = fc.array(fc.record({ events: fc.integer({ min: 1, max: 3 }), isAny: fc.boolean() }), { minLength: 1, maxLength: 12 });

test("if a page confirms a stream's first events only, the first entries are all that is needed to apply it", () => {
  let alone = 0;
  fc.assert(
    fc.property(COMMITS, HAPPENINGS, (commits, happenings) => {
      let version = 1;
      const entries = commits.map(({ events, isAny }, i) => {
        const ids = Array.from({ length: events }, (_, n) => `own-${i}-${n}`);
        const entry = pending(i + 1, version, ids, isAny ? "any" : version - 1);
        version += events;
        return entry;
      });
      const device = new CatchingUp([], ...entries);
      const unsent = entries.map(({ events }) => events.map(({ id }) => id));
      const log: string[] = [];
      let cut = 0;
      for (const [i, happening] of happenings.entries()) {
        for (let n = 0; n < happening.count; n++) log.push(...(happening.isOwn ? (unsent.shift() ?? []) : [`theirs-${i}-${n}`]));
        const isBehind = happening.cut > 0;
        const end = Math.max(cut, log.length - happening.cut);
        const arrived = arrive(cut + 1, ...log.slice(cut, end));
        cut = end;
        const before = device.pending;
        const first = before.slice(
          0,
          before.findLastIndex(({ events }) => events.some(({ id }) => arrived.some((one) => one.id === id))) + 1,
        );
        const whole = device.page(arrived, isBehind);
        if (!confirmsOnly(first, arrived)) continue;
        if (first.length < before.length) alone++;
        const asked = () => expect.fail("a rule was asked");
        const confirmed = toVersion(device.log.length);
        expect(reconcileWith(first, arrived, confirmed, asked, [], { isBehind, awaited: new Map() })).toEqual(whole);
      }
    }),
    { seed: SEED, numRuns: 2_000 },
  );
  expect(alone).toBeGreaterThan(0);
});

test("what a page holds of others, of other content or in another order, is not of the first entries only", () => {
  const [a, b] = [pending(1, 3, ["a1", "a2"]), pending(2, 5, ["b1"])];
  expect(confirmsOnly([a, b], arrive(3, "a1", "a2", "b1"))).toBe(true);
  expect(confirmsOnly([a], arrive(3, "a1"))).toBe(true);
  expect(confirmsOnly([{ ...a, confirmed: 1 }], arrive(4, "a2"))).toBe(true);
  expect(confirmsOnly([a, b], [])).toBe(false);
  expect(confirmsOnly([a], arrive(3, "a1", "a2", "b1"))).toBe(false);
  expect(confirmsOnly([a, b], arrive(3, "b1"))).toBe(false);
  expect(confirmsOnly([a, b], arrive(4, "a1"))).toBe(false);
  expect(confirmsOnly([a, b], arrive(3, "x", "a1"))).toBe(false);
  expect(confirmsOnly([a, b], [{ ...arrival("a1", 3), data: "other" }])).toBe(false);
});
