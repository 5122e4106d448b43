/** An app that fills a shelf and takes from it by commands, as `client/streams/handle.ts` implements it. */

import { type DecidedEvent, decideCommand, fold, type PendingCommand } from "../../../shared/device/decider.ts";
import type { Commit } from "../../../shared/event/commit.ts";
import type { EventBody } from "../../../shared/event/event.ts";
import { copyJson } from "../../../shared/json.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import { type StockCommand, type StockEvent, stock } from "../../support/stock.ts";
import type { Budget } from "../app.ts";
import type { Device } from "../device.ts";
import type { Tab } from "../tab.ts";
import { append, bringIntoScope } from "../transactions.ts";

export const SHELF = parseStreamId("Stock-1");

const RETRIES = 10;
const JSON_DEPTH = 8;

export class StockApp {
  readonly #tab: Tab;
  readonly #budget: Budget;
  readonly #pace: number;

  constructor(tab: Tab, budget: Budget, pace: number) {
    this.#tab = tab;
    this.#budget = budget;
    this.#pace = pace;
  }

  start(): void {
    const { random } = this.#tab.ground.beside;
    this.#tab.later(random.wait(this.#pace), () => {
      if (this.#budget.left > 0) {
        this.#budget.left--;
        const by = this.#tab.device.name;
        const wanted = random.between(1, 4);
        const take: StockCommand = { type: "Take", by, wanted, orFewer: random.chance(0.4) };
        this.#handle(random.chance(0.35) ? { type: "Fill", units: random.between(1, 5) } : take);
      }
      this.start();
    });
  }

  #handle(command: StockCommand, attempt = 0): void {
    const { device, ground } = this.#tab;
    const version = device.content.version(SHELF);
    // The decider answers its state unchanged for events that it does not know.
    const known = device.events(SHELF).map(({ body }) => body as EventBody & StockEvent);
    let decided: readonly DecidedEvent[];
    try {
      decided = decideCommand(stock, command, fold(stock, stock.initialState, known));
    } catch {
      // The shelf has not enough: its user is told.
      return ground.count("commands refused at once");
    }
    const events = completed(device, decided);
    const note: PendingCommand = { decider: stock.name, command };
    this.#append({ streamId: SHELF, expectedVersion: version, events }, note, () => {
      if (attempt < RETRIES) this.#handle(command, attempt + 1);
    });
  }

  #append(commit: Commit, command: PendingCommand, again: () => void): void {
    const { device, ground } = this.#tab;
    const { rules } = ground;
    const { name } = device;
    ground.observe({ kind: "called", device: name, commit });
    ground.observe({ kind: "commanded", device: name, id: commit.events[0]?.id ?? "", command });
    device.write(
      this.#tab,
      rules.appendDurability(),
      (content) => {
        bringIntoScope(content, commit.streamId, rules);
        return append(content, commit, rules, command);
      },
      (answer) => {
        if ("error" in answer) return ground.observe({ kind: "refused", device: name, commit, code: answer.error.code });
        const { value: decision } = answer;
        if (decision.kind === "refused") {
          ground.observe({ kind: "refused", device: name, commit, code: decision.code });
          return decision.code === "version-conflict" ? again() : undefined;
        }
        const { firstVersion, version } = decision;
        ground.count("commands handled");
        ground.observe({ kind: "accepted", device: name, commit, firstVersion, version, isDuplicate: decision.kind === "duplicate" });
        this.#tab.announce({ kind: "scope" });
        this.#tab.announce({ kind: "appended" });
      },
      () => [commit.streamId],
    );
  }
}

/** Events by new ids of the device. */
export function completed(device: Device, events: readonly DecidedEvent[]): EventBody[] {
  return events.map(({ type, data, metadata = {} }) => {
    const id = `${device.name}-S${++device.derived.decided}`;
    return { id, type, schemaVersion: 1, data: copyJson(data, "data", JSON_DEPTH).value, metadata, occurredAt: device.time() };
  });
}
