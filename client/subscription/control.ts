/** Looking after a named subscription of the device: what can be asked of it, from any tab. */
import { askedToBegin, askedToReplay, askedToResume, type DeviceSubscription, type SetAside } from "../../shared/device/subscription.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { parseBeginning } from "../../shared/subscription.ts";
import type { Kit } from "../internals.ts";
import { readHistory } from "../storage/device-log.ts";
import { askingChannel, changeSubscription, readSubscription } from "./record.ts";

export interface SubscriptionStatus {
  readonly name: string;
  /** Every event of its filter up to here was handled or set aside. */
  readonly position: number;
  readonly isStopped: boolean;
  /** Why it stopped, or what it was refused last; null where nothing was. */
  readonly reason: string | null;
  /** Refusals in a row of the event that is due. */
  readonly failures: number;
  readonly setAside: readonly SetAside[];
}

/** A named subscription as whoever looks after it sees it. */
export class SubscriptionKeeper {
  readonly #kit: Kit;
  readonly #name: string;

  constructor(kit: Kit, name: string) {
    this.#kit = kit;
    this.#name = name;
  }

  /** Undefined where no subscription of this name has begun on this device. */
  async status(): Promise<SubscriptionStatus | undefined> {
    const subscription = await this.#kit.database.run((db) => readSubscription(db, this.#name));
    const [part] = subscription?.parts ?? [];
    if (subscription === undefined || part === undefined) return undefined;
    const { checkpoint: position, isStopped, failures } = part.progress;
    const { reason, setAside } = subscription;
    return { name: this.#name, position, isStopped, reason, failures, setAside };
  }

  /** Hands over again what was set aside: all of it, or the events of these ids. */
  async replay(ids?: readonly string[]): Promise<void> {
    await this.#ask((subscription) => askedToReplay(subscription, ids));
  }

  /** Goes on where it stopped, or at once where it waits. */
  async resume(): Promise<void> {
    await this.#ask(askedToResume);
  }

  /** Begins behind a position of the history that the device follows now; what was set aside stays in the list. */
  async reset(position = 0): Promise<void> {
    const from = parseBeginning(position, "position");
    const history = await this.#kit.database.run(readHistory);
    await this.#ask((subscription) => askedToBegin(subscription, history, from));
  }

  async #ask(change: (now: DeviceSubscription) => DeviceSubscription): Promise<void> {
    await this.#kit.database.run((db) =>
      changeSubscription(db, this.#name, (now) => {
        if (now === undefined) throw new InvalidRequestError(`No subscription ${this.#name} has begun here.`, { field: "name" });
        return change(now);
      }),
    );
    const channel = askingChannel(this.#kit, this.#name);
    channel?.postMessage(null);
    channel?.close();
  }
}
