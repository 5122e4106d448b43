/**
 * A tab: an instance of the client on the platform of its device, and the store that its app has opened. It opens, is hidden, freezes,
 * thaws, closes or crashes. What comes for a frozen tab waits until it thaws, in order. What comes for a dead one is dropped.
 */
import type { Device } from "./device.ts";
import type { Ground } from "./ground.ts";
import { insecure } from "./habits/browser.ts";
import type { OpenedDisk } from "./indexed-db/disk.ts";
import type { Network } from "./network.ts";
import { abortsOf } from "./platform/abort-signal.ts";
import type { Client } from "./platform/bundle.ts";
import { cryptoOf } from "./platform/crypto.ts";
import { dateOf, timersOf } from "./platform/date.ts";
import type { EventLoop } from "./platform/event-loop.ts";
import { localStorageOf } from "./platform/local-storage.ts";
import { Page } from "./platform/page.ts";
import { webSocketOf } from "./platform/web-socket.ts";

export type Store = Awaited<ReturnType<Client["openStore"]>>;
export type StoreOptions = Parameters<Client["openStore"]>[0];

export class Tab implements EventLoop {
  readonly name: string;
  readonly device: Device;
  readonly ground: Ground;
  readonly page: Page;
  /** The product, as this tab has loaded it. */
  readonly client: Client;
  isAlive = true;
  isFrozen = false;
  /** As the page has it. */
  readonly WebSocket: typeof WebSocket;
  /** Undefined until it is open. */
  store: Store | undefined;
  readonly #database: OpenedDisk;
  readonly #ends: (() => void)[] = [];
  #backlog: (() => void)[] = [];

  constructor(name: string, device: Device, network: Network) {
    const { ground } = device;
    const { random } = ground;
    this.name = name;
    this.device = device;
    this.ground = ground;
    const locks = device.locks.openIn(this);
    const channels = device.channels.openIn(this);
    const database = device.disk.openIn(this);
    this.#database = database;
    this.#ends.push(locks.end, channels.end, database.end);
    const { browser } = device;
    const { persistence } = browser;
    this.page = new Page(this, { ...(browser.hasLocks && { locks: locks.locks }), ...(persistence && { persistence }) });
    const own = random.fork(name);
    const crypto = cryptoOf(own);
    this.WebSocket = webSocketOf(this, (url, protocols) => network.connect(this, device, url, protocols));
    this.client = ground.product.client({
      ...timersOf(this),
      ...abortsOf(this),
      ...this.page.globals(),
      console,
      Math: Object.assign(Object.create(Math), { random: () => own.next() }),
      Date: dateOf(() => device.clock()),
      ...(browser.isSecure ? { crypto } : insecure(crypto)),
      ...(browser.hasChannels && { BroadcastChannel: channels.BroadcastChannel }),
      indexedDB: database.indexedDB,
      IDBKeyRange: database.IDBKeyRange,
      localStorage: localStorageOf(device.texts),
      fetch: network.fetchOf(this, device),
      WebSocket: this.WebSocket,
    });
  }

  get now(): number {
    return this.ground.scheduler.now;
  }

  get isRunning(): boolean {
    return this.isAlive && !this.isFrozen;
  }

  post(milliseconds: number, task: () => void): void {
    this.ground.scheduler.after(milliseconds, () => this.#run(task));
  }

  /** Resolves after so many milliseconds, if the tab is alive then. */
  pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.post(milliseconds, resolve));
  }

  #run(task: () => void): void {
    if (!this.isAlive) return;
    if (this.isFrozen) {
      this.#backlog.push(task);
      return;
    }
    try {
      task();
    } catch (error) {
      this.uncaught(error);
    }
  }

  /** What reaches the window's `error` event. */
  uncaught(error: unknown): void {
    this.ground.observe({ kind: "uncaught", where: this.name, error });
  }

  /** Opens the app's store. Rejects as `openStore` does. */
  async open(options: StoreOptions): Promise<Store> {
    this.ground.tell(() => `${this.name}: opens`);
    this.store = await this.client.openStore(options);
    return this.store;
  }

  /** A browser does not freeze a tab that others wait for. Left out: a process that is stopped in the middle of a transaction. */
  get isAtWork(): boolean {
    return this.#database.isAtWork();
  }

  freeze(): void {
    this.ground.tell(() => `${this.name}: freezes`);
    this.isFrozen = true;
    this.ground.observe({ kind: "tab-stopped", device: this.device.name });
  }

  thaw(): void {
    if (!this.isAlive || !this.isFrozen) return;
    this.ground.tell(() => `${this.name}: thaws`);
    this.isFrozen = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const task of backlog) this.post(0, task);
  }

  /** Nothing of it continues, and the browser releases what it held. */
  die(): void {
    if (!this.isAlive) return;
    this.ground.tell(() => `${this.name}: is gone`);
    this.isAlive = false;
    this.#backlog = [];
    this.ground.observe({ kind: "tab-stopped", device: this.device.name });
    this.device.tabs = this.device.tabs.filter((tab) => tab !== this);
    for (const end of this.#ends) end();
  }
}
