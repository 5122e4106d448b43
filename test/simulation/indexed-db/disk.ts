/**
 * The IndexedDB of one device, behind all of its tabs. It is written for the simulation: it has no timers of its own, tabs that freeze or die,
 * and a disk that may lose what it has not written. Each file of this folder says which faults can strike in it, and which are left out.
 */
import type { EventLoop } from "../platform/event-loop.ts";
import type { Random } from "../random.ts";
import { DatabaseData } from "./database-data.ts";
import { compare, KeyRange, toKey } from "./keys.ts";
import { OpenRequest } from "./request.ts";
import { type DiskFaults, Tab } from "./tab.ts";
import { Deletion, Opening } from "./turns.ts";

export type { DiskFaults } from "./tab.ts";

export interface OpenedDisk {
  readonly indexedDB: IDBFactory;
  readonly IDBKeyRange: typeof IDBKeyRange;
  /**
   * The tab is gone, or the browser discards a frozen tab that others wait for. Its connections close, and its transactions are undone unless
   * they were committed. None of its events is fired any more.
   */
  end(): void;
  /** Whether a transaction of the tab is neither committed nor aborted: others may wait for it. */
  isAtWork(): boolean;
}

export class Disk {
  readonly #faults: DiskFaults;
  readonly #databases = new Map<string, DatabaseData>();
  readonly #tabs = new Set<Tab>();
  #loop: EventLoop | undefined;
  #commits = 0;

  constructor(faults: DiskFaults) {
    this.#faults = faults;
  }

  /** Raised by each committed transaction that wrote something. */
  get commits(): number {
    return this.#commits;
  }

  /** What one tab sees as `indexedDB` and `IDBKeyRange`. */
  openIn(loop: EventLoop): OpenedDisk {
    const tab = new Tab(loop, this.#faults);
    this.#tabs.add(tab);
    this.#loop = loop;
    const factory = new Factory(tab, this.#databases, () => this.#commits++);
    return {
      // They have the platform's interface, as far as it is used.
      indexedDB: factory as unknown as IDBFactory,
      IDBKeyRange: KeyRange as unknown as typeof IDBKeyRange,
      end: () => this.#end(tab),
      isAtWork: () => [...tab.connections].some(({ transactions }) => [...transactions].some((transaction) => transaction.isOpen)),
    };
  }

  /**
   * The machine dies, and all tabs with it. Of each database, some of the last transactions are lost, as `random` draws: relaxed ones of the last
   * 30 seconds, with no strict one after them, and strict ones whose `complete` was not due yet. Returns how many were lost.
   */
  crash(random: Random): number {
    for (const tab of [...this.#tabs]) this.#end(tab);
    const now = this.#loop?.now ?? 0;
    return [...this.#databases.values()].reduce((lost, data) => lost + data.crash(now, random), 0);
  }

  /** The browser deletes all databases, and closes their connections. @returns whether it did: not while one is opened or deleted */
  evict(): boolean {
    const all = [...this.#databases.values()];
    if (all.some(({ turns }) => turns.length > 0)) return false;
    for (const data of all) data.evict();
    this.#commits++;
    return true;
  }

  #end(tab: Tab): void {
    tab.isGone = true;
    this.#tabs.delete(tab);
    for (const connection of [...tab.connections]) connection.end();
    for (const data of this.#databases.values()) data.advance();
  }
}

/** `IDBFactory`. */
class Factory {
  readonly #tab: Tab;
  readonly #databases: Map<string, DatabaseData>;
  readonly #onCommit: () => void;

  constructor(tab: Tab, databases: Map<string, DatabaseData>, onCommit: () => void) {
    this.#tab = tab;
    this.#databases = databases;
    this.#onCommit = onCommit;
  }

  get [Symbol.toStringTag](): string {
    return "IDBFactory";
  }

  open(name: string, version?: number): OpenRequest {
    const wanted = version === undefined ? undefined : Math.trunc(Number(version));
    if (wanted !== undefined && !(wanted > 0 && wanted <= Number.MAX_SAFE_INTEGER))
      throw new TypeError("The version is not a number above 0.");
    const request = new OpenRequest();
    const data = this.#dataOf(String(name));
    data.turns.push(new Opening(this.#tab, data, request, wanted));
    data.advance();
    return request;
  }

  deleteDatabase(name: string): OpenRequest {
    const request = new OpenRequest();
    const data = this.#dataOf(String(name));
    data.turns.push(new Deletion(this.#tab, data, request));
    data.advance();
    return request;
  }

  databases(): Promise<IDBDatabaseInfo[]> {
    const tab = this.#tab;
    return new Promise((resolve) => {
      tab.post(tab.faults.latency("open"), () => {
        const existing = [...this.#databases.values()].filter(({ version }) => version > 0);
        resolve(existing.map(({ name, version }) => ({ name, version })));
      });
    });
  }

  cmp(first: unknown, second: unknown): number {
    return compare(toKey(first), toKey(second));
  }

  #dataOf(name: string): DatabaseData {
    let data = this.#databases.get(name);
    if (data === undefined) {
      data = new DatabaseData(name, this.#onCommit);
      this.#databases.set(name, data);
    }
    return data;
  }
}
