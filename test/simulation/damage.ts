/**
 * Faults of the storage of one store's objects, and the operator who repairs them.
 *
 *     flip-in-stream, flip-in-log   one bit of a row changes, half of the time in an event's data, else anywhere in its lines
 *     lose-run                      a run of a stream is gone, with others behind it
 *     lose-row                      a row of the log is gone, with others behind it
 *     restore-stream                a stream is put back to an older copy. The log has events of it that the copy lacks
 *     delete-stream                 a stream's object is deleted. The log has events of it
 *
 * Of the log alone, and of a store as a whole, `operator.ts` has the same. The object is not told: what it has in memory stays, unless it was
 * put back or deleted, or lost the last row of a stream, which restart it.
 *
 * The last row of a stream comes back by itself if the stream publishes its events again. Left out: such a row of events that were recorded a
 * moment ago. The log then takes them for new ones, and whoever has followed further has them twice.
 *
 * The operator repairs one damage before the next one happens: after a while, or when the world heals (`World`). A row gets back what it had,
 * and a stream that was put back or deleted gets its newest copy, as by a point-in-time recovery. What it has taken meanwhile is gone then.
 * Whoever was told that it was recorded without a position may have been told wrong: decision 0038.
 */
import type { ConfirmedEvent, RecordedEvent } from "../../shared/event/event.ts";
import type { StorageCopy } from "../../worker/testing/storage.ts";
import type { Edge } from "./edge.ts";
import type { StorageFault } from "./faults.ts";
import { EPOCH, type Ground } from "./ground.ts";
import type { Random } from "./random.ts";

/** What a fault has done, until it is repaired. */
export interface Broken {
  readonly fault: StorageFault;
  readonly streamId: string;
  /** What was recorded there. In a stream, events have no position. */
  readonly events: readonly RecordedEvent[];
  /** The stream's version in the log. */
  readonly published: number;
  /** @returns whether it is repaired */
  readonly repair: () => boolean;
  /** Whether the product has repaired it by itself. */
  readonly isOver?: () => boolean;
}

type Found = Omit<Broken, "fault" | "published">;

/** Milliseconds after which events are published late, by far. */
const LATE = 2_000;

/** A run of a stream, as it is stored. */
interface StoredRun {
  readonly key: string;
  readonly value: { readonly events: Uint8Array };
  readonly events: readonly RecordedEvent[];
}

export class Damage {
  readonly #ground: Ground;
  readonly #edge: Edge;
  readonly store: string;
  #broken: Broken | undefined;

  constructor(ground: Ground, edge: Edge, store: string) {
    this.#ground = ground;
    this.#edge = edge;
    this.store = store;
  }

  get broken(): Broken | undefined {
    return this.#broken;
  }

  start(): void {
    const { faults } = this.#ground;
    faults.recur("flip-in-stream", () => this.#break("flip-in-stream", () => this.#inRun((run) => this.#flipRun(run))));
    faults.recur("lose-run", () => this.#break("lose-run", () => this.#inRun((run, isLast) => !isLast && this.#loseRun(run))));
    faults.recur("flip-in-log", () => this.#break("flip-in-log", () => this.#inRow((row) => this.#flipRow(row))));
    faults.recur("lose-row", () => this.#break("lose-row", () => this.#inRow((row, isLast) => this.#loseRow(row, isLast))));
    faults.recur("restore-stream", () => this.#break("restore-stream", () => this.#putBack(1)));
    faults.recur("delete-stream", () => this.#break("delete-stream", () => this.#putBack(0)));
  }

  /** Whether the product has repaired it by itself. */
  get isOver(): boolean {
    return this.#broken?.isOver?.() === true;
  }

  /** @returns whether nothing is broken any more. An object that writes at this moment can be repaired a moment later */
  repair(): boolean {
    if (this.#broken === undefined) return true;
    if (!this.#broken.repair()) return false;
    const { fault, streamId } = this.#broken;
    this.#ground.tell(() => `operator: ${fault} of ${streamId} is repaired`);
    this.#broken = undefined;
    this.#ground.observe({ kind: "repaired", store: this.store, fault, streamId });
    return true;
  }

  #break(fault: StorageFault, find: () => Found | undefined): boolean {
    const { faults, random, scheduler } = this.#ground;
    if (this.#broken !== undefined) return false;
    const found = find();
    if (found === undefined) return false;
    const { streamId, events } = found;
    const broken = { ...found, fault, published: this.#edge.disks.headOf(this.store, streamId) };
    this.#broken = broken;
    const places = events.map(({ version, position }) => `@${version}${position === null ? "" : ` #${position}`}`);
    this.#ground.tell(() => `storage: ${fault} of ${streamId}: ${places.join(" ")}`);
    this.#ground.observe({ kind: "damaged", store: this.store, fault, streamId, events });
    if (random.chance(0.5)) return true;
    const repair = () => {
      if (this.#broken === broken && !faults.isOver && !this.repair()) scheduler.after(random.between(1, 20), repair);
    };
    scheduler.after(faults.while(), repair);
    return true;
  }

  /** Has something happen to one run of a stream. */
  #inRun(act: (run: { readonly name: string } & StoredRun, isLast: boolean) => (() => boolean) | false): Found | undefined {
    const { random } = this.#ground;
    const names = this.#edge.disks.streamIds(this.store).map((streamId) => `${this.store}/${streamId}`);
    if (names.length === 0) return undefined;
    const name = random.pick(names);
    const runs = runsOf(this.#edge.objects("STREAMS").copy(name), this.#streamId(name));
    if (runs.length === 0) return undefined;
    const run = random.pick(runs);
    const repair = act({ ...run, name }, run === runs.at(-1));
    return repair === false ? undefined : { streamId: this.#streamId(name), events: run.events, repair };
  }

  #flipRun({ name, key, value }: { readonly name: string } & StoredRun): (() => boolean) | false {
    const objects = this.#edge.objects("STREAMS");
    const other = { ...value, events: flipped(value.events, this.#ground.random) };
    return objects.damage(name, ({ put }) => put(key, other)) && (() => objects.damage(name, ({ put }) => put(key, value)));
  }

  #loseRun({ name, key, value }: { readonly name: string } & StoredRun): (() => boolean) | false {
    const objects = this.#edge.objects("STREAMS");
    return objects.damage(name, (stored) => stored.delete(key)) && (() => objects.damage(name, ({ put }) => put(key, value)));
  }

  /** Has something happen to one row of the log. `isLast`: the log has no other of the stream behind it. */
  #inRow(act: (row: LogRow, isLast: boolean) => (() => boolean) | false): Found | undefined {
    const rows = this.#edge.disks.rows(this.store);
    if (rows.length === 0) return undefined;
    const row = this.#ground.random.pick(rows);
    const events = this.#edge.disks.readLog(this.store).filter(({ position }) => isIn(row, position));
    const repair = act(row, row === rows.findLast(({ stream_id }) => stream_id === row.stream_id));
    const isBack = () => this.#edge.disks.rows(this.store).some(({ last_position }) => last_position === row.last_position);
    if (repair === false) return undefined;
    return { streamId: row.stream_id, events, repair, ...(!isBack() && { isOver: isBack }) };
  }

  #flipRow({ last_position, events }: LogRow): (() => boolean) | false {
    const query = "UPDATE runs SET events = ? WHERE last_position = ?";
    const other = new TextDecoder().decode(flipped(new TextEncoder().encode(events), this.#ground.random));
    return this.#inLog(query, other, last_position) && (() => this.#inLog(query, events, last_position));
  }

  #loseRow(row: LogRow, isLast: boolean): (() => boolean) | false {
    const { scheduler } = this.#ground;
    const { last_position: end } = row;
    const newest = row.events.split("\n").map((line): number => Date.parse(JSON.parse(line).recordedAt));
    const isOld = Math.max(...newest) + LATE < EPOCH + scheduler.now;
    // Without its end, a log is as if it had been put back.
    if (end === this.#edge.disks.head(this.store) || (isLast && !isOld)) return false;
    if (!this.#inLog("DELETE FROM runs WHERE last_position = ?", end)) return false;
    if (isLast) this.#edge.objects("LOGS").kill(this.store);
    const values = Object.values(row);
    const query = `INSERT OR IGNORE INTO runs VALUES (${values.map(() => "?").join(", ")})`;
    return () => this.#inLog(query, ...values);
  }

  #inLog(query: string, ...values: readonly unknown[]): boolean {
    return this.#edge.objects("LOGS").damage(this.store, ({ exec }) => exec(query, ...values));
  }

  /** Takes the last runs from a stream, of which the log has some. @param least how many are left, at least; 0: none is */
  #putBack(least: 0 | 1): Found | undefined {
    const { random } = this.#ground;
    const objects = this.#edge.objects("STREAMS");
    const published = (streamId: string) => this.#edge.disks.headOf(this.store, streamId);
    const ids = this.#edge.disks.streamIds(this.store).filter((id) => published(id) > 0);
    if (ids.length === 0) return undefined;
    const streamId = random.pick(ids);
    const name = `${this.store}/${streamId}`;
    const good = objects.copy(name);
    const runs = runsOf(good, streamId);
    // What the log lacks it can't miss: the stream would go on as if nothing was lost.
    const known = runs.filter(({ events }) => (events[0]?.version ?? 0) <= published(streamId)).length;
    if (known <= least) return undefined;
    const left = least === 0 ? 0 : random.between(least, known - 1);
    const lost = runs.slice(left);
    if (left === 0) objects.delete(name);
    else {
      const values = new Map([...good.values].filter(([key]) => lost.every((run) => run.key !== key)));
      objects.restore(name, { ...good, values, alarm: random.chance(0.5) ? good.alarm : null });
    }
    const repair = () => {
      objects.restore(name, good);
      return true;
    };
    return { streamId, events: lost.flatMap(({ events }) => events), repair };
  }

  #streamId(name: string): string {
    return name.slice(this.store.length + 1);
  }
}

type LogRow = ReturnType<Edge["disks"]["rows"]>[number];

function isIn({ first_version, last_version, last_position }: LogRow, position: ConfirmedEvent["position"]): boolean {
  return position <= last_position && position >= last_position - (last_version - first_version);
}

/** The runs of a stream, in order. */
function runsOf({ values }: StorageCopy, streamId: string): readonly StoredRun[] {
  let version = 0;
  return [...values]
    .filter(([key]) => /^\d+$/.test(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, stored]) => {
      const value = stored as StoredRun["value"]; // what the product stores
      const lines = new TextDecoder().decode(value.events).split("\n");
      return { key, value, events: lines.map((line) => ({ streamId, version: ++version, position: null, ...JSON.parse(line) })) };
    });
}

/** With one bit changed, half of the time in an event's data. */
function flipped(text: Uint8Array, random: Random): Uint8Array {
  const copy = text.slice();
  const data = new TextDecoder().decode(text).indexOf('"data":{');
  const isInData = data >= 0 && random.chance(0.5);
  const at = isInData ? data + random.between(8, 40) : random.between(0, copy.length - 1);
  const place = Math.min(at, copy.length - 1);
  copy[place] = (copy[place] ?? 0) ^ (1 << random.between(0, 6));
  return copy;
}
