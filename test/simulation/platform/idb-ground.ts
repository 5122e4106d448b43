/** The ground of the tests of the simulation's IndexedDB: an event loop over real timers, and a world of tabs in virtual time. */
import { setTimeout as wait } from "node:timers/promises";
import { openDatabase } from "../../../client/storage/idb.ts";
import { Disk, type DiskFaults } from "../indexed-db/disk.ts";
import type { EventLoop } from "./event-loop.ts";

export const NO_FAULTS: DiskFaults = { latency: () => 0, strikes: () => false };

/** An event loop that runs its tasks as the platform does. */
export function realLoop(): EventLoop {
  const start = performance.now();
  return {
    get now() {
      return performance.now() - start;
    },
    post: (milliseconds, task) => void (milliseconds <= 0 ? setImmediate(task) : setTimeout(task, milliseconds)),
  };
}

type Strike = Parameters<DiskFaults["strikes"]>[0];
type Latency = Parameters<DiskFaults["latency"]>[0];

/** A device whose tabs live in virtual time. Its disk has the faults that a test switches on. */
export class Device {
  readonly latencies: Record<Latency, number> = { read: 1, relaxed: 2, strict: 10, open: 1 };
  /** The faults that strike when they are asked for the next time, each at the question with this number: 0 is the next one. */
  readonly faults = new Map<Strike, number>();
  /** Faults that strike always. */
  readonly always = new Set<Strike>();
  now = 0;
  readonly disk = new Disk({
    latency: (kind) => this.latencies[kind],
    strikes: (fault) => this.always.has(fault) || this.#strikes(fault),
  });
  #order = 0;
  readonly #tasks: { at: number; order: number; tab: Tab; task: () => void }[] = [];

  tab(): Tab {
    return new Tab(this);
  }

  post(tab: Tab, milliseconds: number, task: () => void): void {
    this.#tasks.push({ at: this.now + milliseconds, order: this.#order++, tab, task });
  }

  /** Lets this much time pass. After each task, the promises go on. */
  async pass(milliseconds = 1_000): Promise<void> {
    const end = this.now + milliseconds;
    for (;;) {
      await wait(0);
      const ready = this.#tasks.filter(({ at, tab }) => at <= end && !tab.isFrozen).sort((a, b) => a.at - b.at || a.order - b.order);
      const next = ready[0];
      if (next === undefined) break;
      this.#tasks.splice(this.#tasks.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.task();
    }
    this.now = end;
  }

  #strikes(fault: Strike): boolean {
    const left = this.faults.get(fault);
    if (left === undefined) return false;
    if (left === 0) this.faults.delete(fault);
    else this.faults.set(fault, left - 1);
    return left === 0;
  }
}

export class Tab {
  isFrozen = false;
  readonly platform: ReturnType<Disk["openIn"]>;

  constructor(device: Device) {
    this.platform = device.disk.openIn({
      get now() {
        return device.now;
      },
      post: (milliseconds, task) => device.post(this, milliseconds, task),
    });
  }

  /** Opens a database with the store `notes`, by the product's own code. `seen` gets what happens to it. */
  open(version = 1, seen: string[] = [], closes = true) {
    return openDatabase<{ notes: { key: string; value: unknown }; others: { key: string; value: unknown } }>(this.platform, "db", version, {
      upgrade: (db, from) => {
        if (from === 0) for (const name of ["notes", "others"]) db.createObjectStore(name);
      },
      blocked: () => void seen.push("blocked"),
      blocking: (db, next) => {
        seen.push(`blocking ${next}`);
        if (closes) db.close();
      },
      terminated: () => void seen.push("terminated"),
    });
  }
}

type Opened = Awaited<ReturnType<Tab["open"]>>;

export function write(db: Opened, key: string, value: unknown = key, durability: IDBTransactionDurability = "relaxed"): Promise<void> {
  const tx = db.transaction(["notes"], "readwrite", { durability });
  return tx
    .objectStore("notes")
    .put(value, key)
    .then(() => tx.done);
}

export function read(db: Opened): Promise<string[]> {
  return db.transaction(["notes"], "readonly").objectStore("notes").getAllKeys();
}

/** How a promise ended: its result, or the name of its error. "pending", if it has not. */
export function outcomeOf(promise: Promise<unknown>): () => unknown {
  let outcome: unknown = "pending";
  promise.then(
    (result) => {
      outcome = result;
    },
    (error: unknown) => {
      outcome = error instanceof Error ? error.name : error;
    },
  );
  return () => outcome;
}
