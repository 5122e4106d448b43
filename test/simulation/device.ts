/** A device: its disk, its locks and channels, which its tabs share, its clock, its network and its token. */
import type { HeldToken } from "./checkers/observation.ts";
import { EPOCH, type Ground, timeAt } from "./ground.ts";
import { type Browser, MODERN } from "./habits/browser.ts";
import { Disk } from "./indexed-db/disk.ts";
import type { Party } from "./network.ts";
import { Channels } from "./platform/broadcast-channel.ts";
import type { EventLoop } from "./platform/event-loop.ts";
import { LockManagers } from "./platform/web-locks.ts";
import type { Tab } from "./tab.ts";

/** What the app of a device remembers beyond its tabs. */
export interface Memory {
  /** How many events it has made. */
  made: number;
}

export class Device implements Party {
  readonly name: string;
  /** The store at the edge that it follows. */
  readonly store: string;
  readonly disk: Disk;
  readonly locks = new LockManagers();
  readonly channels: Channels;
  readonly memory: Memory = { made: 0 };
  /** In localStorage. */
  readonly texts = new Map<string, string>();
  /** Streams that it has made a commit to of which the edge's object dies: what was made on top of it waits with it. */
  readonly stuck = new Set<string>();
  /** How often the handler of its subscription has failed on each event. */
  readonly failures = new Map<string, number>();
  token: HeldToken;
  isOffline = false;
  /** Nothing can be written. */
  hasNoRoom = false;
  /** Milliseconds by which its clock is wrong. */
  clockError = 0;
  tabs: readonly Tab[] = [];
  readonly ground: Ground;
  readonly browser: Browser;
  /** When the last message to each tab arrives. */
  readonly #arrivals = new Map<EventLoop, number>();

  constructor(ground: Ground, name: string, store: string, token: HeldToken, browser = MODERN) {
    this.ground = ground;
    this.browser = browser;
    this.name = name;
    this.store = store;
    this.token = token;
    const { random, faults } = ground;
    this.disk = new Disk({
      latency: (kind) => (kind === "read" ? random.between(0, 1) : kind === "strict" ? random.between(1, 8) : random.between(1, 3)),
      strikes: (fault) => (fault === "no-room" ? this.hasNoRoom : faults.strikes(fault)),
    });
    // All messages to a tab come in one order, as they pass through one process of the browser.
    this.channels = new Channels((_from, to) => {
      if (faults.strikes("lose-hint")) return undefined;
      const late = faults.strikes("late-hint") ? random.spread(100, 60_000) : 1;
      const arrival = Math.max(this.#arrivals.get(to) ?? 0, to.now + late);
      this.#arrivals.set(to, arrival);
      return arrival - to.now;
    });
  }

  /** Whether messages of other tabs are still on their way to this one. A late one holds up all that come after it. */
  hasMessagesFor(tab: Tab): boolean {
    return (this.#arrivals.get(tab) ?? 0) > tab.now;
  }

  /** Its clock, in milliseconds since 1970. */
  clock(): number {
    return EPOCH + this.ground.scheduler.now + this.clockError;
  }

  time(): string {
    return timeAt(this.ground.scheduler.now + this.clockError);
  }

  /** Tabs that live, and are not frozen. */
  get running(): readonly Tab[] {
    return this.tabs.filter((tab) => tab.isRunning);
  }

  goOffline(): void {
    this.isOffline = true;
    for (const tab of this.tabs) tab.page.goOffline();
  }

  goOnline(): void {
    this.isOffline = false;
    for (const tab of this.tabs) tab.page.goOnline();
  }

  /**
   * The browser deletes all databases of the app's site, under open tabs or after they have gone.
   *
   * @returns whether it did: not while a database is being opened, upgraded or deleted
   */
  evict(isUnderTabs: boolean): boolean {
    if (!isUnderTabs) for (const tab of this.tabs) tab.die();
    if (!this.disk.evict()) return false;
    this.ground.tell(() => `${this.name}: its databases are deleted`);
    this.ground.observe({ kind: "evicted", device: this.name });
    // It begins anew, as after a crash that has taken everything, and after a reset.
    this.ground.observe({ kind: "crashed", device: this.name });
    this.ground.observe({ kind: "reset", device: this.name });
    return true;
  }

  /** The machine dies with all its tabs. */
  crash(): void {
    for (const tab of this.tabs) tab.die();
    this.tabs = [];
    const lost = this.disk.crash(this.ground.random);
    this.ground.tell(() => `${this.name}: crashes and loses ${lost} transactions`);
    this.ground.observe({ kind: "crashed", device: this.name });
    this.ground.count("transactions lost in crashes", lost);
  }
}
