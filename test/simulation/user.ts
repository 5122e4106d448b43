/** The user of a device: opens and closes tabs, and does what the app requires of its user. Faults of the device start here too. */
import { App, type Budget, forget, type Memory } from "./app.ts";
import type { HeldToken } from "./checkers/observation.ts";
import { Consumer } from "./consumer.ts";
import { Device } from "./device.ts";
import type { Edge } from "./edge.ts";
import type { Fault } from "./faults.ts";
import type { Ground } from "./ground.ts";
import { StockApp } from "./models/stock-app.ts";
import type { Network } from "./network.ts";
import { ruleOf } from "./rule.ts";
import { Tab } from "./tab.ts";

export interface UserParts {
  readonly ground: Ground;
  readonly network: Network;
  readonly edge: Edge;
  readonly budget: Budget;
  readonly stockBudget: Budget;
  readonly streams: readonly string[];
  readonly memory: Memory;
}

/** Who syncs by hand does so every so many milliseconds; and who is told that a device has diverged, decides within them. */
const TENDING = 15_000;

export class User {
  readonly device: Device;
  readonly #parts: UserParts;
  readonly #ground: Ground;
  readonly #apps = new Map<Tab, App>();
  /** What the app follows. */
  #scope: readonly string[] | null;
  #pace = 0;
  #opened = 0;
  #tendedAt = 0;

  constructor(name: string, store: string, parts: UserParts) {
    const { ground, memory } = parts;
    this.#parts = parts;
    this.#ground = ground;
    const resolve = ruleOf(ground, name, (events) => forget(memory, events));
    this.device = new Device(ground, name, store, goodToken(store), resolve);
    this.#scope = ground.params.scope === "all" ? null : ["Permit"];
  }

  start(pace: number): void {
    const { device } = this;
    this.#pace = pace;
    this.#ground.observe({ kind: "opened", device: device.name, store: device.store, scope: this.#scope });
    this.#ground.observe({ kind: "token", device: device.name, token: device.token });
    device.storage.content.set("replica", { ...device.content.get("replica"), scope: this.#scope });
    this.#openTab();
    this.#openLater();
    this.#lookLater();
    this.#troubleTabs();
    this.#troubleDevice();
    this.#troubleAccess();
  }

  #openTab(): Tab {
    const { device } = this;
    const tab = new Tab(`${device.name}.${++this.#opened}`, device, this.#parts);
    device.tabs = [...device.tabs, tab];
    const { streams, budget, memory } = this.#parts;
    const wanted = this.#ground.params.scope === "part" ? streams.filter((id) => id.startsWith("Permit")) : streams;
    const app = new App(tab, budget, memory, wanted, this.#pace * this.#ground.params.tabs);
    this.#apps.set(tab, app);
    tab.open();
    app.start();
    if (this.#scope === null) new Consumer(tab).start();
    device.derived.openIn(tab);
    if (this.#ground.params.hasStock) new StockApp(tab, this.#parts.stockBudget, this.#pace * 2).start();
    return tab;
  }

  /** Tabs come back, up to as many as there may be; now and then with another filter. */
  #openLater(): void {
    const { params, scheduler, random } = this.#ground;
    scheduler.after(random.wait((params.minutes * 60_000) / 10), () => {
      if (this.#tabs().length < params.tabs) {
        const tab = this.#openTab();
        if (params.scope === "changing" && random.chance(0.5))
          this.#follow(tab, random.pick([["Permit"], ["Ticket"], ["Permit", "Ticket"], null]));
      }
      this.#openLater();
    });
  }

  /** Its user looks at everything, now and then. */
  #lookLater(): void {
    const { params, scheduler, random } = this.#ground;
    scheduler.after(random.wait((params.minutes * 60_000) / 8), () => {
      this.device.lookAtAll([]);
      this.#lookLater();
    });
  }

  #follow(tab: Tab, scope: readonly string[] | null): void {
    this.#ground.tell(() => `${tab.name}: follows ${scope?.join(" ") ?? "everything"}`);
    this.#apps.get(tab)?.follow(scope);
  }

  #tabs(): readonly Tab[] {
    return this.device.tabs.filter((tab) => tab.isAlive);
  }

  #running(): readonly Tab[] {
    return this.#tabs().filter(({ isFrozen }) => !isFrozen);
  }

  #some(): Tab | undefined {
    const tabs = this.#tabs();
    return tabs.length === 0 ? undefined : this.#ground.random.pick(tabs);
  }

  #troubleTabs(): void {
    const { faults, scheduler } = this.#ground;
    const end = () => {
      const tab = this.#some();
      tab?.die();
      return tab !== undefined;
    };
    faults.recur("crash-tab", end);
    faults.recur("close-tab", end);
    faults.recur("freeze-tab", () => {
      const tab = this.#some();
      if (tab === undefined || tab.isFrozen) return false;
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
      device.isOffline = true;
      return () => {
        device.isOffline = false;
      };
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
      this.#ground.scheduler.after(random.spread(1000, 60_000), () => {
        if (this.#tabs().length === 0) this.#openTab();
        device.lookAtAll(this.#parts.streams);
      });
      return true;
    });
    faults.recur("reset", () => this.#reset());
  }

  #troubleAccess(): void {
    const { device } = this;
    this.#spell("expire-token", () => {
      this.#hold({ ...device.token, until: this.#ground.scheduler.now });
      return () => this.#hold(goodToken(device.store));
    });
    this.#spell("forbid", () => {
      this.#hold({ ...device.token, stores: [] });
      return () => this.#hold(goodToken(device.store));
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
    const [tab] = this.#running();
    if (tab !== undefined) this.#apps.get(tab)?.reset();
    return tab !== undefined;
  }

  heal(): void {
    const { device } = this;
    device.isOffline = false;
    device.hasNoRoom = false;
    this.#hold(goodToken(device.store));
    this.#wakeTabs();
  }

  /** One tab at least runs; others may stay frozen for good, with whatever they hold. */
  #wakeTabs(): void {
    const tabs = this.#tabs();
    if (this.#running().length > 0 && this.#ground.random.chance(0.5)) return;
    for (const tab of tabs) tab.thaw();
    if (tabs.length === 0) this.#openTab();
  }

  /** Looks after the device now and then. */
  tend(): void {
    const { scheduler, params } = this.#ground;
    if (scheduler.now < this.#tendedAt + TENDING) return;
    this.#tendedAt = scheduler.now;
    if (this.isDiverged) {
      this.#ground.count("diverged devices reset");
      this.#reset();
    }
    const tab = this.#running()[0];
    if (!params.isAutomatic && tab !== undefined) this.#apps.get(tab)?.sync();
  }

  get leaderTab(): Tab | undefined {
    return this.#tabs().find((tab) => tab.leader !== undefined && this.device.lock.isHeldBy(tab));
  }

  get isDiverged(): boolean {
    return this.leaderTab?.leader?.connection === "diverged";
  }
}

function goodToken(store: string): HeldToken {
  return { stores: [store], until: Number.POSITIVE_INFINITY };
}
