/**
 * What a device derives from its events: snapshots, the rows of a projection, and the checkpoint of a subscription. All of it draws its own
 * random numbers, so that a world runs as it would without it.
 */
import type { Device } from "../device.ts";
import type { Ground } from "../ground.ts";
import type { Tab } from "../tab.ts";
import type { LedgerVersion } from "./ledger.ts";
import { NO_ROWS, Projector, type Rows } from "./projector.ts";
import { Shelf } from "./shelf.ts";
import { Snapshots } from "./snapshots.ts";
import { Subscriber } from "./subscriber.ts";

/** Milliseconds between two looks of a tab. */
const EVERY = 8000;

export class Derived {
  readonly rows = new Shelf<Rows>(NO_ROWS);
  /** The tab that runs the subscription. It keeps its lock while it is frozen. */
  subscriber: Tab | undefined;
  /** How often the subscription's handler has refused each event. */
  readonly refusals = new Map<string, number>();
  /** Events that its commands were decided to. */
  decided = 0;
  readonly #ground: Ground;
  readonly #device: Device;

  constructor(ground: Ground, device: Device) {
    this.#ground = ground;
    this.#device = device;
  }

  openIn(tab: Tab): void {
    const { random } = this.#ground.beside;
    const version: LedgerVersion = random.chance(0.3) ? 2 : 1;
    const [snapshots, projector, subscriber] = [new Snapshots(tab, version), new Projector(tab), new Subscriber(tab)];
    const look = () =>
      tab.later(random.between(EVERY / 4, EVERY), () => {
        snapshots.look();
        projector.look();
        subscriber.look();
        look();
      });
    look();
  }

  crash(): void {
    this.rows.crash(this.#ground.beside.random);
  }

  /** What is not in step yet, as far as a tab that runs could bring it. */
  unsettled(): readonly string[] {
    return [...Projector.unsettled(this.#device), ...Subscriber.unsettled(this.#device)];
  }
}

/** Milliseconds between two reads of one tab: few, unless it has much else to do. */
export function pause({ random }: Ground["beside"]): number {
  return random.chance(0.1) ? random.spread(10, 5000) : 1;
}

/** A write that may fail, as others do. @returns whether it was done */
export function writes({ beside }: Ground, { hasNoRoom }: Device, work: () => void): boolean {
  if (hasNoRoom || beside.faults.strikes("abort-write")) return false;
  work();
  return true;
}
