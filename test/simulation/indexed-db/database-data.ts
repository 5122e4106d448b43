/**
 * One database on the disk: its stores, the connections to it, and the requests that open or delete it, which take turns.
 *
 * Faults: what relaxed transactions have committed is on the disk 30 seconds later, or with the next strict transaction that writes something.
 * If the machine dies before, the last ones of them may be lost, never one before one that stays. A strict transaction is on the disk
 * when its `complete` is due. The browser may delete it whole, whoever has it open. Left out: a database that can't be opened any more, and
 * one whose content changes.
 */
import type { Random } from "../random.ts";
import type { Connection } from "./connection.ts";
import type { StoreData, Undo } from "./records.ts";

/** Milliseconds after which an operating system has written what it was given. */
const RELAXED = 30_000;
/** Commits after which those that are safe by then are forgotten. */
const FORGET_EVERY = 32;

/** A request to open or delete the database. */
export interface Turn {
  /** Goes as far as it can. Returns true when the next one may have its turn. */
  advance(): boolean;
  /** A connection has been closed. */
  onClosed?(): void;
}

interface Commit {
  readonly undos: readonly Undo[];
  /** When it, and everything before it, is on the disk. */
  safeAt: number;
}

export class DatabaseData {
  readonly name: string;
  /** 0: the database doesn't exist. */
  version = 0;
  stores = new Map<string, StoreData>();
  readonly connections = new Set<Connection>();
  readonly turns: Turn[] = [];
  /** Commits that a crash may undo, the oldest first. */
  #unsafe: Commit[] = [];
  #isAdvancing = false;
  readonly #onCommit: () => void;

  constructor(name: string, onCommit: () => void) {
    this.name = name;
    this.#onCommit = onCommit;
  }

  /** Everything so far is on the disk: the database was created, upgraded or deleted. */
  settle(): void {
    this.#unsafe = [];
  }

  /** A transaction that wrote something was committed. */
  keep(undos: readonly Undo[], kind: "relaxed" | "strict" | "schema", safeAt: number, now: number): void {
    this.#onCommit();
    if (kind === "schema") return this.settle();
    if (this.#unsafe.length % FORGET_EVERY === FORGET_EVERY - 1) this.forget(now);
    const unsafe = this.#unsafe;
    unsafe.push({ undos, safeAt: kind === "strict" ? safeAt : safeAt + RELAXED });
    // A strict transaction takes everything before it onto the disk.
    for (let i = unsafe.length - 1; i > 0; i--) {
      const [before, after] = [unsafe[i - 1], unsafe[i]] as [Commit, Commit];
      if (before.safeAt <= after.safeAt) break;
      before.safeAt = after.safeAt;
    }
  }

  /** Drops what is safe at this time. */
  forget(now: number): void {
    const unsafe = this.#unsafe;
    const left = unsafe.findIndex(({ safeAt }) => safeAt > now);
    unsafe.splice(0, left < 0 ? unsafe.length : left);
  }

  /** The machine dies. Returns how many commits were lost. */
  crash(now: number, random: Random): number {
    this.forget(now);
    const lost = this.#unsafe.length === 0 ? 0 : random.between(0, this.#unsafe.length);
    for (const { undos } of this.#unsafe.splice(this.#unsafe.length - lost).reverse()) for (const undo of undos.toReversed()) undo();
    this.settle();
    for (const store of this.stores.values()) store.freeAt = 0;
    return lost;
  }

  /** The browser deletes it: what was committed is gone, and each connection is lost. */
  evict(): void {
    for (const connection of [...this.connections]) connection.lose();
    this.version = 0;
    this.stores = new Map();
    this.settle();
  }

  /** Lets the requests that open or delete the database go as far as they can. */
  advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    while (this.turns[0]?.advance()) this.turns.shift();
    this.#isAdvancing = false;
  }
}
