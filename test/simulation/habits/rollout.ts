/**
 * A new version of the app, for devices and for the edge, each at a moment of its own. Tabs that were opened before keep the old one, and a
 * few that are opened later have it from a cache. When the world heals, each device has a tab with the new version; old ones stay open.
 */
import type { Faults } from "../faults.ts";
import type { AppVersion } from "../models/stock.ts";
import type { Params } from "../params.ts";
import type { Scheduler } from "../platform/scheduler.ts";
import { Random } from "../random.ts";

export class Rollout {
  /** Milliseconds of the world. */
  readonly edgeAt: number;
  readonly #appsAt: number;
  readonly #scheduler: Scheduler;

  constructor({ seed, minutes, habits }: Params, scheduler: Scheduler) {
    const random = new Random(seed, "rollout");
    const isPlanned = habits?.includes("rollout") === true;
    const moment = () => (isPlanned ? Math.ceil(minutes * 60_000 * (0.1 + 0.8 * random.next())) : Number.POSITIVE_INFINITY);
    [this.edgeAt, this.#appsAt] = [moment(), moment()];
    this.#scheduler = scheduler;
  }

  atEdge(): AppVersion {
    return this.#scheduler.now < this.edgeAt ? 1 : 2;
  }

  /** Of a tab that is opened now. */
  ofNewTab(random: Random, faults: Faults): AppVersion {
    if (this.#scheduler.now < this.#appsAt) return 1;
    return faults.isOver || random.chance(0.8) ? 2 : 1;
  }

  /** Whether the new version is out for devices. */
  get isForApps(): boolean {
    return this.#scheduler.now >= this.#appsAt;
  }
}
