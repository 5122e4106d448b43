/**
 * `IDBDatabase`: a connection of one tab to a database.
 *
 * Fault: `lose-connection`. As in Chromium, the transactions under way are aborted with UnknownError, and their requests with AbortError. A
 * transaction that had not begun fails its requests and fires neither `complete` nor `abort`. Then `close` is fired. From then on, no
 * transaction can be begun: InvalidStateError. Browsers do so when a person clears the site's data, and under memory pressure.
 */
import type { DatabaseData } from "./database-data.ts";
import { DatabaseEvent, EventSource } from "./events.ts";
import { failure, must } from "./failure.ts";
import { toKeyPath } from "./key-path.ts";
import { namesOf } from "./names.ts";
import type { ObjectStore } from "./object-store.ts";
import { StoreData } from "./records.ts";
import type { Tab } from "./tab.ts";
import { type Durability, type Mode, Transaction } from "./transaction.ts";

type Handler = ((event: DatabaseEvent) => void) | null;

export class Connection extends EventSource {
  readonly tab: Tab;
  readonly data: DatabaseData;
  onabort: Handler = null;
  onclose: Handler = null;
  onerror: Handler = null;
  onversionchange: Handler = null;
  /** Transactions that have not fired their last event. */
  readonly transactions = new Set<Transaction>();
  /** True once `close` was called, or the connection was lost. */
  isClosing = false;
  /** The time when its tab gets it. */
  readyAt = 0;
  /** The versionchange transaction that runs. */
  upgrade: Transaction | undefined;
  #version: number;

  constructor(tab: Tab, data: DatabaseData) {
    super();
    this.tab = tab;
    this.data = data;
    this.#version = data.version;
    data.connections.add(this);
    tab.connections.add(this);
  }

  get name(): string {
    return this.data.name;
  }

  get version(): number {
    return this.#version;
  }

  set version(version: number) {
    this.#version = version;
  }

  get objectStoreNames(): readonly string[] {
    return namesOf(this.data.stores.keys());
  }

  get [Symbol.toStringTag](): string {
    return "IDBDatabase";
  }

  namesOf(stores: readonly StoreData[]): readonly string[] {
    return namesOf(stores.map(({ name }) => name));
  }

  transaction(names: string | Iterable<string>, mode: Mode = "readonly", { durability = "default" }: { durability?: Durability } = {}) {
    must(this.upgrade === undefined, "InvalidStateError", "The database is being upgraded.");
    must(!this.isClosing, "InvalidStateError", "The connection is closed.");
    const wanted = typeof names === "string" ? [names] : [...new Set(names)];
    const scope = wanted.map((name) => {
      const store = this.data.stores.get(String(name));
      if (store === undefined) throw failure("NotFoundError", "The database has no such store.");
      return store;
    });
    must(scope.length > 0, "InvalidAccessError", "A transaction needs a store.");
    if (mode !== "readonly" && mode !== "readwrite") throw new TypeError("The mode is neither readonly nor readwrite.");
    return new Transaction(this, scope, mode, durability);
  }

  createObjectStore(given: string, options: { keyPath?: unknown; autoIncrement?: boolean } | null = {}): ObjectStore {
    const upgrade = this.#upgrading();
    const { stores } = this.data;
    const name = String(given);
    const keyPath = toKeyPath(options?.keyPath);
    const autoIncrement = options?.autoIncrement ?? false;
    must(!stores.has(name), "ConstraintError", "The database has such a store already.");
    const isUsable = !autoIncrement || (keyPath !== "" && !Array.isArray(keyPath));
    must(isUsable, "InvalidAccessError", "The database can't assign keys for this key path.");
    const store = new StoreData(name, keyPath, autoIncrement);
    stores.set(name, store);
    upgrade.scope.push(store);
    upgrade.undos.push(() => {
      stores.delete(name);
      store.isDeleted = true;
    });
    return upgrade.handleOf(store);
  }

  deleteObjectStore(given: string): void {
    const upgrade = this.#upgrading();
    const { stores } = this.data;
    const name = String(given);
    const store = stores.get(name);
    if (store === undefined) throw failure("NotFoundError", "The database has no such store.");
    stores.delete(name);
    store.isDeleted = true;
    upgrade.scope.splice(upgrade.scope.indexOf(store), 1);
    upgrade.undos.push(() => {
      stores.set(name, store);
      store.isDeleted = false;
    });
  }

  renameStore(store: StoreData, name: string, { undos }: Transaction): void {
    const { stores } = this.data;
    const before = store.name;
    must(!stores.has(name), "ConstraintError", "The database has such a store already.");
    const rename = (from: string, to: string) => {
      stores.delete(from);
      store.name = to;
      stores.set(to, store);
    };
    rename(before, name);
    undos.push(() => rename(name, before));
  }

  close(): void {
    this.isClosing = true;
    this.closeIfIdle();
  }

  /** A closing connection is closed when its last transaction has ended. */
  closeIfIdle(): void {
    if (this.isClosing && this.transactions.size === 0) this.leave();
  }

  /** Lets go of the database: an upgrade or a deletion waits for it no longer. */
  leave(): void {
    this.tab.connections.delete(this);
    if (this.data.connections.delete(this)) this.data.advance();
  }

  /** The connection closes by itself. */
  lose(): void {
    if (this.isClosing && !this.tab.connections.has(this)) return;
    this.isClosing = true;
    for (const transaction of [...this.transactions]) transaction.lose();
    this.tab.post(0, () => this.tab.report(this.dispatch(new DatabaseEvent("close"))));
    this.leave();
  }

  /** Its tab is gone. What was committed stays, and everything else is undone. No event is fired. */
  end(): void {
    this.isClosing = true;
    for (const transaction of this.transactions) if (!transaction.isCommitted && transaction.state !== "finished") transaction.rollBack();
    this.transactions.clear();
    this.leave();
  }

  #upgrading(): Transaction {
    const { upgrade } = this;
    if (upgrade === undefined) throw failure("InvalidStateError", "The database is not being upgraded.");
    upgrade.assertActive();
    return upgrade;
  }
}
