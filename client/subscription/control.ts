/** Looking after a named subscription of the device: what can be asked of it, from any tab. */
import { afterReplayRequest, afterReset, afterResume, type DeadLetter, type DeviceSubscription } from "../../shared/device/subscription.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { parseBeginning } from "../../shared/subscription.ts";
import type { StoreInternals } from "../internals.ts";
import { readReplica } from "../storage/device-log.ts";
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
  readonly deadLetters: readonly DeadLetter[];
}

/** A named subscription as whoever looks after it sees it. */
export class SubscriptionControl {
  readonly #internals: StoreInternals;
  readonly #name: string;

  constructor(internals: StoreInternals, name: string) {
    this.#internals = internals;
    this.#name = name;
  }

  /** Undefined where no subscription of this name has begun on this device. */
  async status(): Promise<SubscriptionStatus | undefined> {
    const subscription = await this.#internals.database.run((db) => readSubscription(db, this.#name));
    const [part] = subscription?.parts ?? [];
    if (subscription === undefined || part === undefined) return undefined;
    const { checkpoint: position, isStopped, failures } = part.progress;
    const { reason, deadLetters } = subscription;
    return { name: this.#name, position, isStopped, reason, failures, deadLetters };
  }

  /** Hands over again what was set aside: all of it, or the events of these ids. */
  async replay(ids?: readonly string[]): Promise<void> {
    await this.#ask((subscription) => afterReplayRequest(subscription, ids));
  }

  /** Goes on where it stopped, or at once where it waits. */
  async resume(): Promise<void> {
    await this.#ask(afterResume);
  }

  /** Begins behind a position of the history that the device follows now; what was set aside stays in the list. */
  async reset(position = 0): Promise<void> {
    const from = parseBeginning(position, "position");
    const replica = await this.#internals.database.run(readReplica);
    await this.#ask((subscription) => afterReset(subscription, replica, from));
  }

  async #ask(change: (now: DeviceSubscription) => DeviceSubscription): Promise<void> {
    await this.#internals.database.run((db) =>
      changeSubscription(db, this.#name, (now) => {
        if (now === undefined) throw new InvalidRequestError(`No subscription ${this.#name} has begun here.`, { field: "name" });
        return change(now);
      }),
    );
    const channel = askingChannel(this.#internals, this.#name);
    channel?.postMessage(null);
    channel?.close();
  }
}
