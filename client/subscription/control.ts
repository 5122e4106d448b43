/** The control of a named subscription of the device: its status, its dead letters, and what an operator can do. It works in any tab. */
import { afterReplayRequest, afterReset, afterResume, type DeviceSubscription, statusOf } from "../../shared/device/subscription.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { sameJson } from "../../shared/json.ts";
import { type DeadLetter, parseBeginning, type SubscriptionStatus } from "../../shared/subscription.ts";
import type { StoreInternals } from "../internals.ts";
import { unlessStorage } from "../storage/database.ts";
import { readReplica } from "../storage/device-log.ts";
import { coalesced } from "../tools/coalesced.ts";
import { LiveCell, type LiveValue } from "../tools/live-value.ts";
import { changeSubscription, RecordChannel, readSubscription } from "./record.ts";

export class SubscriptionControl {
  readonly #internals: StoreInternals;
  readonly #name: string;
  readonly #status = new LiveCell<SubscriptionStatus | undefined>(undefined);
  readonly #channel: RecordChannel;

  /** @internal Reads the status again. */
  readonly refresh = coalesced(async () => {
    const status = await this.#read();
    if (!sameJson(this.status, status)) this.#status.set(status);
  });

  /** @internal Use `store.subscription`. */
  constructor(internals: StoreInternals, name: string) {
    this.#internals = internals;
    this.#name = name;
    const refresh = () => void this.#refreshQuietly();
    this.#channel = new RecordChannel(internals, name, refresh);
    const unwatch = internals.watch(refresh);
    internals.ending.addEventListener("abort", () => {
      unwatch();
      this.#channel.close();
    });
  }

  /** A new object after each change. Undefined if no subscription of this name has begun on this device. */
  get status(): SubscriptionStatus | undefined {
    return this.#status.getSnapshot();
  }

  /** The status as it changes. The same live value at each call. */
  liveStatus(): LiveValue<SubscriptionStatus | undefined> {
    return this.#status;
  }

  /** The events that the handler kept failing on, in the order in which they became dead letters. */
  async deadLetters(): Promise<readonly DeadLetter[]> {
    return (await this.#internals.database.run((db) => readSubscription(db, this.#name)))?.deadLetters ?? [];
  }

  /**
   * Hands dead letters to the handler once more: all of them, or the events of these ids. One that is handled leaves the dead letters.
   *
   * @throws InvalidRequestError if no subscription of this name has begun on this device
   */
  async replay(ids?: readonly string[]): Promise<void> {
    await this.#change((subscription) => afterReplayRequest(subscription, ids));
  }

  /**
   * Continues a subscription that has stopped. One that waits continues at once.
   *
   * @throws InvalidRequestError if no subscription of this name has begun on this device
   */
  async resume(): Promise<void> {
    await this.#change(afterResume);
  }

  /**
   * Restarts the subscription after a position of the history that the device holds now. The dead letters stay.
   *
   * @param position exclusive; 0 is the beginning
   * @throws InvalidRequestError if no subscription of this name has begun on this device
   */
  async reset(position = 0): Promise<void> {
    const from = parseBeginning(position, "position");
    const replica = await this.#internals.database.run(readReplica);
    await this.#change((subscription) => afterReset(subscription, replica, from));
  }

  async #change(change: (now: DeviceSubscription) => DeviceSubscription): Promise<void> {
    await this.#internals.database.run((db) =>
      changeSubscription(
        db,
        this.#name,
        (now) => {
          if (now !== undefined) return change(now);
          throw new InvalidRequestError(`No subscription named ${this.#name} has begun on this device. Call subscribe() with this name.`, {
            field: "name",
          });
        },
        "strict",
      ),
    );
    this.#channel.notify();
    await this.refresh();
  }

  async #read(): Promise<SubscriptionStatus | undefined> {
    const { database } = this.#internals;
    const [subscription, replica] = await Promise.all([database.run((db) => readSubscription(db, this.#name)), database.run(readReplica)]);
    return subscription && statusOf(this.#name, subscription, replica);
  }

  /** In the background: a failure of the storage is reported to the next caller that needs the storage. */
  async #refreshQuietly(): Promise<void> {
    if (!this.#internals.ending.aborted) await this.refresh().catch(unlessStorage);
  }
}
