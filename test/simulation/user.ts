/** The user of a device: opens and closes tabs, and does what the app requires of its user. Faults of the device start here too. */
import { isWithin, type Scope } from "../../shared/device/replica.ts";
import type { Commit } from "../../shared/event/commit.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { App, type Budget } from "./app.ts";
import type { HeldToken } from "./checkers/observation.ts";
import { Derived } from "./derived.ts";
import { Device } from "./device.ts";
import type { Fault } from "./faults.ts";
import { apart, type Ground } from "./ground.ts";
import { browserOf, MODERN } from "./habits/browser.ts";
import { browse } from "./habits/look-around.ts";
import { Rollout } from "./habits/rollout.ts";
import { atOneMoment, heldBy, isSilent, lookAtAll, showStatus } from "./looks.ts";
import { type AppVersion, SHELF } from "./models/stock.ts";
import type { Network } from "./network.ts";
import { deciderOf, optionsOf } from "./store-options.ts";
import { type Store, Tab } from "./tab.ts";
import { TOLERANCE } from "./token.ts";

export interface UserParts {
  readonly ground: Ground;
  readonly network: Network;
  readonly budget: Budget;
  readonly streams: readonly string[];
}

/** What runs in a tab. */
interface Open {
  readonly tab: Tab;
  readonly store: Store;
  readonly version: AppVersion;
  readonly app: App;
  readonly derived: Derived;
}

/** A user looks after the device every so many milliseconds; and one who is told that it has diverged, decides within them. */
const TENDING = 15_000;

export class User {
  readonly device: Device;
  readonly #parts: UserParts;
  readonly #ground: Ground;
  readonly #derivedGround: Ground;
  readonly #commits: Commit[] = [];
  readonly #rollout: Rollout;
  #opens: readonly Open[] = [];
  /** What the app follows. */
  #scope: Scope;
  /** The scope of the last tab that has opened. */
  #opened: Scope | undefined;
  #pace = 0;
  #count = 0;
  #tendedAt = 0;
  /** Pending commits that the edge can't take, as they were counted last. */
  #stuck = 0;
  /** The confirmed events, as a tab showed them last. */
  #shown: readonly ConfirmedEvent[] = [];

  constructor(name: string, store: string, parts: UserParts) {
    const { ground } = parts;
    this.#parts = parts;
    this.#ground = ground;
    this.#rollout = new Rollout(ground.params, ground.scheduler);
    this.#derivedGround = apart(ground, `${name} derived`);
    const hasOwnBrowser = ground.params.habits?.includes("browsers") === true;
    const browser = hasOwnBrowser ? browserOf(ground.random.fork(`${name} browser`), ground.params.tabs) : MODERN;
    this.device = new Device(ground, name, store, goodToken(store), browser);
    this.#scope = ground.params.scope === "all" ? null : ["Permit", ...(ground.params.hasStock ? ["Stock"] : [])];
  }

  start(pace: number): void {
    const { device } = this;
    this.#pace = pace;
    this.#ground.observe({ kind: "token", device: device.name, token: device.token });
    this.#openTab();
    this.#openLater();
    this.#troubleTabs();
    this.#troubleDevice();
    this.#troubleAccess();
  }

  #openTab(scope = this.#scope): void {
    const { device } = this;
    // See `browserOf`.
    if (!device.browser.hasLocks || !device.browser.hasChannels) for (const other of device.tabs) other.die();
    const tab = new Tab(`${device.name}.${++this.#count}`, device, this.#parts.network);
    device.tabs = [...device.tabs, tab];
    void this.#run(tab, scope);
  }

  async #run(tab: Tab, scope: Scope): Promise<void> {
    const { streams, budget, ground } = this.#parts;
    const { name, store: storeName } = this.device;
    const version = this.#rollout.ofNewTab(ground.random, ground.faults);
    const { habits, hasStock } = ground.params;
    const hasDecider = hasStock && !(habits?.includes("undecided") && ground.random.chance(0.3));
    const stock = hasDecider ? deciderOf(tab, version) : undefined;
    ground.observe({ kind: "opened", device: name, store: storeName, scope });
    let store: Store;
    try {
      store = await tab.open(optionsOf(tab, scope, version, stock));
    } catch (error) {
      if (!(error instanceof tab.client.HeadwaterError)) return tab.uncaught(error);
      ground.count(`tabs that did not open: ${error.code}`);
      // Its user closes it.
      return tab.die();
    }
    this.#opened = scope;
    ground.observe({ kind: "follows", device: name, scope });
    const wanted = ground.params.scope === "part" ? streams.filter((id) => id.startsWith("Permit")) : streams;
    const pace = this.#pace * ground.params.tabs;
    const app = new App({ tab, store, budget, streams: wanted, pace, commits: this.#commits, stock, version });
    const derived = new Derived(tab, store, this.#derivedGround, [...wanted, SHELF]);
    this.#opens = [...this.#opens.filter((open) => open.tab.isAlive), { tab, store, version, app, derived }];
    void app.run();
    void derived.run();
    if (ground.params.habits?.includes("browse")) void browse(tab, store, apart(ground, `${tab.name} browses`), wanted);
  }

  /** Tabs come back, up to as many as there may be; now and then with another filter. */
  #openLater(): void {
    const { params, scheduler, random } = this.#ground;
    scheduler.after(random.wait((params.minutes * 60_000) / 10), () => {
      if (this.device.tabs.length < params.tabs) {
        if (params.scope === "changing" && random.chance(0.5))
          this.#scope = random.pick([["Permit"], ["Ticket", "Stock"], ["Permit", "Ticket", "Stock"], null]);
        this.#openTab();
      }
      this.#openLater();
    });
  }

  #running(): readonly Open[] {
    return this.#opens.filter(({ tab }) => tab.isRunning);
  }

  /** Those with the newest version of the app. */
  #newest(): readonly Open[] {
    return this.#running().filter(({ version }) => version === 2 || !this.#rollout.isForApps);
  }

  #some(): Tab | undefined {
    const { tabs } = this.device;
    return tabs.length === 0 ? undefined : this.#ground.random.pick(tabs);
  }

  #troubleTabs(): void {
    const { faults, scheduler } = this.#ground;
    faults.recur("crash-tab", () => {
      const tab = this.#some();
      tab?.die();
      return tab !== undefined;
    });
    faults.recur("close-tab", () => {
      const [open] = this.#running();
      void open?.store.close().then(() => open.tab.die());
      return open !== undefined;
    });
    faults.recur("freeze-tab", () => {
      const tab = this.#some();
      if (tab === undefined || tab.isFrozen || tab.isAtWork) return false;
      tab.freeze();
      scheduler.after(faults.while(), () => {
        if (!faults.isOver) tab.thaw();
      });
      return true;
    });
  }

  #troubleDevice(): void {
    const { faults, random } = this.#ground;
    const { device } = this;
    this.#spell("offline", () => {
      device.goOffline();
      return () => device.goOnline();
    });
    this.#spell("no-room", () => {
      device.hasNoRoom = true;
      return () => {
        device.hasNoRoom = false;
      };
    });
    faults.recur("jump-clock", () => {
      device.clockError = random.between(-365, 365) * 86_400_000;
      return true;
    });
    faults.recur("crash-device", () => {
      device.crash();
      this.#openAfter(random.spread(1000, 60_000));
      return true;
    });
    faults.recur("reset", () => this.#reset());
    faults.recur("evict-device", () => {
      this.#openAfter(random.spread(1000, 60_000));
      return device.evict(random.chance(0.5));
    });
  }

  /** If no other is open by then. */
  #openAfter(milliseconds: number): void {
    this.#ground.scheduler.after(milliseconds, () => {
      if (this.device.tabs.length === 0) this.#openTab();
    });
  }

  #troubleAccess(): void {
    const { device } = this;
    if (this.#ground.params.faults["expire-token"] !== undefined) this.#expire();
    this.#spell("forbid", () => {
      this.#hold({ ...device.token, stores: [] });
      return () => this.#hold({ ...device.token, stores: [device.store] });
    });
  }

  /** Tokens end after a while, and are renewed a while after that. */
  #expire(): void {
    const { faults, scheduler, random } = this.#ground;
    faults.happened("expire-token");
    const lasts = random.spread(1000, faults.while() * 2);
    this.#hold({ stores: [this.device.store], until: Math.floor((scheduler.now + lasts) / 1000) * 1000 + TOLERANCE });
    scheduler.after(lasts + faults.while(), () => {
      if (!faults.isOver) this.#expire();
    });
  }

  /** Something that goes wrong for a while. */
  #spell(fault: Fault, begin: () => () => void): void {
    const { faults, scheduler } = this.#ground;
    faults.recur(fault, () => {
      this.#ground.tell(() => `${this.device.name}: ${fault}`);
      scheduler.after(faults.while(), begin());
      return true;
    });
  }

  #hold(token: HeldToken): void {
    this.device.token = token;
    this.#ground.observe({ kind: "token", device: this.device.name, token });
  }

  #reset(): boolean {
    const [open] = this.#running();
    if (open !== undefined) void open.app.reset();
    return open !== undefined;
  }

  heal(): void {
    const { device } = this;
    device.goOnline();
    device.hasNoRoom = false;
    this.#hold(goodToken(device.store));
    this.#wakeTabs();
    this.#lookAtTabs();
  }

  /** One tab at least runs, with the newest version of the app; others may stay frozen for good, with whatever they hold. */
  #wakeTabs(): void {
    const { random, params } = this.#ground;
    const isOpen = this.#newest().length > 0 && (params.scope !== "changing" || this.#opened === this.#scope);
    if (isOpen && random.chance(0.5)) return;
    for (const tab of this.device.tabs) tab.thaw();
    if (!isOpen) this.#openTab();
  }

  /** A user looks at each tab: what it missed, because it was frozen or a message was lost, it learns now. Else it need not be looked at. */
  #lookAtTabs(): void {
    const { params, random } = this.#ground;
    const { hasLocks, hasChannels } = this.device.browser;
    const hasMissed = params.faults["freeze-tab"] !== undefined || params.faults["lose-hint"] !== undefined || !hasLocks || !hasChannels;
    if (!hasMissed && random.chance(0.5)) return;
    for (const { page } of this.device.tabs) {
      page.hide();
      page.show();
    }
  }

  /** Manages the device now and then. */
  async tend(): Promise<void> {
    const { scheduler, params } = this.#ground;
    if (scheduler.now < this.#tendedAt + TENDING) return;
    this.#tendedAt = scheduler.now;
    const [open] = this.#running();
    if (open === undefined) {
      if (this.device.running.length === 0) this.#openTab();
      return;
    }
    if (open.store.status.connection === "diverged") {
      this.#ground.count("diverged devices reset");
      await open.app.reset();
    }
    for (const { derived } of this.#running()) await derived.tend();
    if (this.device.stuck.size > 0) {
      const held = await atOneMoment(open.tab, () => heldBy(open.tab));
      this.#stuck = held?.pending.filter(({ streamId }) => this.device.stuck.has(streamId)).length ?? this.#stuck;
    }
    // A command that is for the new version of the app waits for a tab that has it.
    if (!params.isAutomatic) await (this.#newest()[0] ?? open).app.sync();
  }

  /**
   * What its tabs show that is still to be done.
   *
   * @param headOf the last position of the log that a device with this filter follows
   */
  unsettled(headOf: (scope: Scope) => number): readonly string[] {
    const head = headOf(null);
    // A device with a filter is not told of every event that it does not follow.
    const due = headOf(this.#opened ?? null);
    const opens = this.#running();
    if (opens.length === 0) return [`${this.device.name} has no open tab`];
    return opens.flatMap(({ tab, store, derived }) => {
      const { connection, cursor, pending, acknowledged, problem } = store.status;
      // A tab that is frozen for good keeps its locks for good, and nobody folds or handles in its place.
      const isFree = this.device.tabs.every(({ isFrozen }) => !isFrozen);
      const lines = isFree ? [...derived.unsettled(cursor?.position ?? 0)] : [];
      const position = cursor?.position ?? 0;
      if (position < due || position > head) lines.push(`has applied the feed up to #${position} of #${due}, and the head is #${head}`);
      if (pending > this.#stuck) lines.push(`has ${pending} commits pending, ${acknowledged} of them acknowledged`);
      // With commits that the edge can't take it is never at ease, but it must not be at odds.
      const isAtEase = this.#stuck > 0 ? connection !== "diverged" : connection === "online";
      if (!isAtEase && (this.#ground.params.isAutomatic || connection !== "offline"))
        lines.push(`is ${connection}: ${problem?.message ?? "no problem"}`);
      return lines.map((line) => `${tab.name} ${line}`);
    });
  }

  /** Which of its tabs are behind the log, or can't send what is pending, and do not say that anything is wrong. */
  untold(headOf: (scope: Scope) => number): readonly string[] {
    const silent = this.#running().filter(({ store }) => isSilent(store.status, headOf(this.#opened ?? null)));
    return silent.map(({ tab, store }) => `${tab.name}, which is ${store.status.connection}`);
  }

  /**
   * Which of its tabs show something older, because a message of another tab is on its way. It may be a late one of the time before the
   * healing, which holds up the newer ones, or one of this moment.
   */
  awaitingMessages(): readonly string[] {
    const awaiting = this.#running().filter(({ tab }) => this.device.hasMessagesFor(tab));
    return awaiting.map(({ tab }) => `${tab.name} has not got every message of the other tabs`);
  }

  /** How many tabs it has opened so far. */
  get opened(): number {
    return this.#count;
  }

  hasOpenCalls(): boolean {
    return this.#running().some(({ app }) => app.oldestCall !== undefined);
  }

  lookAtCalls(): void {
    for (const { tab, app } of this.#running()) this.#ground.observe({ kind: "call-open", tab: tab.name, since: app.oldestCall });
  }

  /** Whether it may still fetch what a wider filter adds, while commits wait that the edge can't take: no `sync()` resolves. */
  get mayBeWidening(): boolean {
    return this.#ground.params.scope === "changing" && this.#stuck > 0;
  }

  /** Whether `lookAtAll` has found what the log has, as far as the device follows it. */
  hasShown(log: readonly ConfirmedEvent[]): boolean {
    const [shown, due] = [this.#shown, log].map((events) =>
      events.filter(({ streamId }) => isWithin(this.#opened ?? null, streamId)).map(({ id, position }) => `${position} ${id}`),
    );
    return shown?.join() === due?.join();
  }

  /** Everything that its tabs show, once more. */
  async lookAtAll(): Promise<void> {
    const { streams, ground } = this.#parts;
    // What a wider filter adds may still be on its way. A request that was lost before the healing fails the first call, when it is given up.
    const isFetched = ground.params.scope !== "changing" || this.#stuck > 0 || (await this.#running()[0]?.app.sync());
    if (!isFetched) await this.#running()[0]?.app.sync();
    for (const { tab, store, derived } of this.#running()) {
      const held = await lookAtAll(tab, [...streams, SHELF]);
      if (held === undefined) continue;
      this.#shown = held.confirmed;
      showStatus(tab, store, held);
      await derived.lookAtAll(held);
      ground.count("tabs looked at in the end");
    }
  }
}

export function goodToken(store: string): HeldToken {
  return { stores: [store], until: Number.POSITIVE_INFINITY };
}
