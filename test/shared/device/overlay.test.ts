/** Rows over stored ones: whatever changes, they are what a fold of all events from the first one makes of them. */
import { expect, test } from "vitest";
import { Overlay } from "../../../shared/device/overlay.ts";
import { type FoundRow, foldRows, keysOfAll, overlaid, type Projection, type RowQuery } from "../../../shared/device/projection.ts";
import type { RecordedEvent } from "../../../shared/event/event.ts";
import { Random } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";

interface Counted {
  readonly ids: readonly string[];
}

let folded = 0;
const projection: Projection<Counted> = {
  name: "counted",
  version: 1,
  key: ({ data }) => String(data).split(" "),
  evolve(row, { id, type, position }) {
    folded++;
    return type === "Ended" ? undefined : { ids: [...(row?.ids ?? []), `${id}#${position ?? "?"}`] };
  },
};

let ids = 0;
function event(keys: string, type = "Noted"): RecordedEvent {
  const none = { schemaVersion: 1, metadata: {}, occurredAt: "", recordedAt: null, actor: null };
  return { ...none, id: `e${++ids}`, streamId: "A-1", version: 1, position: null, type, data: keys } as RecordedEvent;
}

const KEYS = ["a", "b", "c", "d", "e"];

/** What a device holds, and what was seen of it. */
class World {
  readonly #random: Random;
  readonly #overlay = new Overlay(projection, true);
  readonly log: RecordedEvent[] = [];
  readonly groups = new Map<number, RecordedEvent[]>();
  readonly #changed = new Set<number>();
  #lastGroup = 0;
  #checkpoint = 0;
  #seen = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  step(): void {
    const random = this.#random;
    const any = [...this.groups.keys()].at(random.between(0, Math.max(0, this.groups.size - 1)));
    switch (random.between(0, 6)) {
      case 0:
      case 1:
        // Of one in four, no event is of the projection. A rule may put others in their place.
        this.#put(++this.#lastGroup, random.between(0, 3) === 0 ? [] : this.#events());
        break;
      case 2:
        this.#confirm(this.#events());
        break;
      case 3: {
        const [first] = this.groups.keys();
        if (first === undefined) return;
        const confirmed = this.groups.get(first)?.splice(0, random.between(1, 2)) ?? [];
        this.#put(first, this.groups.get(first) ?? []);
        this.#confirm(confirmed);
        break;
      }
      case 4:
        if (any !== undefined) this.#put(any, []);
        break;
      case 5:
        if (this.#lastGroup > 0) this.#replace(random.between(1, this.#lastGroup));
        break;
      default:
        this.#checkpoint = random.between(this.#checkpoint, this.#seen);
    }
  }

  #events(): RecordedEvent[] {
    const random = this.#random;
    const some = () => Array.from({ length: random.between(1, 2) }, () => KEYS[random.between(0, KEYS.length - 1)]).join(" ");
    return Array.from({ length: random.between(1, 3) }, () => event(some(), random.between(0, 5) === 0 ? "Ended" : "Noted"));
  }

  #replace(group: number): void {
    this.#put(group, [...(this.groups.get(group) ?? []).slice(1), ...this.#events()]);
  }

  #put(group: number, events: RecordedEvent[]): void {
    if (events.length > 0) this.groups.set(group, events);
    else this.groups.delete(group);
    this.#changed.add(group);
  }

  #confirm(events: readonly RecordedEvent[]): void {
    for (const one of events) this.log.push({ ...one, position: this.log.length + 1 } as RecordedEvent);
  }

  look(): void {
    this.#overlay.moveCheckpoint(this.#checkpoint);
    const confirmed = this.log.slice(this.#seen);
    const groups = [...this.#changed].sort((a, b) => a - b).map((group) => [group, [...(this.groups.get(group) ?? [])]] as const);
    // Another tab may have folded more than was seen before.
    const storedAt = this.#random.between(this.#checkpoint, this.log.length);
    const lacking = this.#overlay.lacking([...confirmed, ...groups.flatMap(([, events]) => events)]);
    const rows = this.#storedAt(storedAt);
    this.#overlay.change({ confirmed, groups, stored: new Map([...lacking].map((key) => [key, rows.get(key)])), storedAt });
    this.#seen = this.log.length;
    this.#checkpoint = storedAt;
    this.#changed.clear();
    this.#expectRows();
  }

  #expectRows(): void {
    const pending = [...this.groups].sort(([a], [b]) => a - b).flatMap(([, events]) => events);
    const all = foldRows(projection, new Map(), [...this.log, ...pending], false);
    const stored = this.#storedAt(this.#checkpoint);
    const { rows } = this.#overlay;
    for (const key of KEYS) expect(rows.has(key) ? rows.get(key) : stored.get(key), key).toEqual(all.get(key));
    this.#overlay.moveCheckpoint(this.#checkpoint);
    expect([...rows.keys()].sort()).toEqual([...keysOfAll(projection, [...this.log.slice(this.#checkpoint), ...pending])].sort());
  }

  #storedAt(position: number): Map<string, Counted | undefined> {
    return foldRows(projection, new Map(), this.log.slice(0, position), false);
  }
}

test("whatever is appended, confirmed, moved, discarded and stored, the rows are the fold of all events", () => {
  for (let run = 0; run < 150; run++) {
    const random = new Random(SEED + run);
    const world = new World(random);
    for (let step = 0; step < 40; step++) {
      world.step();
      if (random.between(0, 1) === 0) world.look();
    }
    world.look();
  }
});

test("a new group is folded over its rows alone, and a changed one folds its rows anew from their base", () => {
  const overlay = new Overlay(projection, true);
  const none = { confirmed: [], stored: new Map(), storedAt: 0 };
  const some = Array.from({ length: 100 }, (_, i) => [i, [event("a"), event(`k${i}`)]] as const);
  folded = 0;
  overlay.change({ ...none, groups: some });
  expect(folded).toBe(200);
  overlay.change({ ...none, groups: [[100, [event("a")]]] });
  expect(folded).toBe(201);
  overlay.change({ ...none, groups: [[7, []]] });
  expect(folded, "a, of 100 groups that are left").toBe(301);
  expect(overlay.rows.has("k7")).toBe(false);
  expect((overlay.rows.get("a") as Counted).ids).toHaveLength(100);
});

test("stored rows are read on only if those behind them may be among the first", () => {
  const at = (key: string, place: number): FoundRow<{ place: number }> => ({ key, row: { place } });
  const query: RowQuery = { index: "place", limit: 2 };
  const stored = [at("a", 1), at("b", 2)];
  const keysOf = (found: readonly FoundRow<unknown>[] | undefined) => found?.map(({ key }) => key);
  // Both are replaced, in their places.
  expect(keysOf(overlaid(query, stored, false, new Map([...stored].map(({ key, row }) => [key, row]))))).toEqual(["a", "b"]);
  expect(keysOf(overlaid(query, stored, false, new Map([["a", { place: 9 }]])))).toBeUndefined();
  expect(keysOf(overlaid(query, stored, true, new Map([["a", { place: 9 }]])))).toEqual(["b", "a"]);
  expect(keysOf(overlaid(query, stored, false, new Map([["c", { place: 0 }]])))).toEqual(["c", "a"]);
  expect(keysOf(overlaid(query, stored, false, new Map([["a", undefined]])))).toBeUndefined();
});

test("a query over replaced rows finds what it finds in all of them", () => {
  for (let run = 0; run < 500; run++) {
    const random = new Random(SEED + run);
    const rowsOf = (count: number) =>
      new Map(Array.from({ length: count }, () => [`k${random.between(0, 20)}`, { place: random.between(0, 6) }] as const));
    const stored = rowsOf(random.between(0, 12));
    const others = new Map([...rowsOf(random.between(0, 8))].map(([key, row]) => [key, random.between(0, 3) === 0 ? undefined : row]));
    const query: RowQuery = {
      ...(random.between(0, 3) > 0 && { index: "place" }),
      ...(random.between(0, 2) > 0 && { limit: random.between(1, 6) }),
      direction: random.of(["forwards", "backwards"]),
    };
    const inOrder = (rows: ReadonlyMap<string, { place: number } | undefined>) =>
      overlaid({ ...query, limit: 1_000 }, [], true, new Map([...rows, ["none", undefined]])) ?? [];
    const all = inOrder(stored);
    const expected = inOrder(new Map([...stored, ...others])).slice(0, query.limit);
    for (let most = query.limit ?? 1_000; ; most *= 2) {
      const found = overlaid(query, all.slice(0, most), all.length < most, others);
      if (found === undefined) continue;
      expect(found).toEqual(expected);
      break;
    }
  }
});
