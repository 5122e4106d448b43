/** Looking after a named subscription of the device: what can be asked of it, from any tab. */
import { InvalidRequestError } from "../../shared/errors.ts";
import { parseBeginning, resumed } from "../../shared/subscription.ts";
import { readHistory } from "../device-log.ts";
import type { Kit } from "./kit.ts";
import { askingChannel, begun, changeFacts, type Facts, readFacts, type SetAside } from "./subscription-facts.ts";

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
    const facts = await this.#kit.database.run((db) => readFacts(db, this.#name));
    const [part] = facts?.parts ?? [];
    if (facts === undefined || part === undefined) return undefined;
    const { checkpoint: position, isStopped, failures } = part.progress;
    return { name: this.#name, position, isStopped, reason: facts.reason, failures, setAside: facts.setAside };
  }

  /** Hands over again what was set aside: all of it, or the events of these ids. */
  async replay(ids?: readonly string[]): Promise<void> {
    await this.#ask((facts) => ({
      ...facts,
      replay: facts.setAside.filter(({ id }) => ids?.includes(id) ?? true).map(({ id }) => id),
    }));
  }

  /** Goes on where it stopped. */
  async resume(): Promise<void> {
    await this.#ask((facts) => ({
      ...facts,
      notBefore: 0,
      parts: facts.parts.map((part) => ({ ...part, progress: resumed(part.progress) })),
    }));
  }

  /** Begins behind a position of the history that the device follows now; what was set aside stays in the list. */
  async reset(position = 0): Promise<void> {
    const from = parseBeginning(position, "position");
    const history = await this.#kit.database.run(readHistory);
    await this.#ask((facts) => ({ ...begun(history, from), setAside: facts.setAside, asked: facts.asked }));
  }

  async #ask(change: (facts: Facts) => Facts): Promise<void> {
    await this.#kit.database.run((db) =>
      changeFacts(db, this.#name, (facts) => {
        if (facts === undefined) throw new InvalidRequestError(`No subscription ${this.#name} has begun here.`, { field: "name" });
        return { ...change(facts), asked: facts.asked + 1 };
      }),
    );
    const channel = askingChannel(this.#kit, this.#name);
    channel?.postMessage(null);
    channel?.close();
  }
}
