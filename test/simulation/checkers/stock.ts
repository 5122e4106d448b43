/**
 * Commands of devices never take a shelf below zero, in any stream that anybody reads, however often other events came first. Pending events
 * do not count: a device that is behind has not decided them again yet. And a command that could not be carried out is shown with the
 * conflict and its reason.
 *
 * If the edge guards the shelf, nobody but a decider has put anything there: each of its events is of a command.
 *
 * A commit that was made on a discarded history may be at the edge already, so it is not decided again. An app that rebases it takes the
 * responsibility, and the shelf is not checked any more. If an older copy was restored, a commit that was decided on lost events may come
 * after other events.
 */
import type { EventBody } from "../../../shared/event/event.ts";
import { keyOf } from "../identity.ts";
import { Checker } from "./checker.ts";
import type { Observation, SeenConflict } from "./observation.ts";
import { PutBack } from "./put-back.ts";

export class StockChecker extends Checker {
  readonly name = "stock";
  readonly #putBack = new PutBack();
  readonly #stores = new Map<string, string>();
  /** What each commit was decided for, by the device and its key. */
  readonly #commands = new Map<string, string>();
  readonly #guarded = new Set<string>();
  /** Stores in which somebody has put behind everything else what nobody has decided on that. */
  readonly #blind = new Set<string>();

  see(observation: Observation): void {
    this.#putBack.see(observation);
    switch (observation.kind) {
      case "opened":
        this.#stores.set(observation.device, observation.store);
        return;
      case "guarded":
        this.#guarded.add(observation.store);
        return;
      case "commanded":
        this.#commands.set(`${observation.device}/${observation.key}`, JSON.stringify(observation.command));
        return;
      case "resolved": {
        const { device, conflict, how } = observation;
        const key = `${device}/${keyOfFirst(conflict)}`;
        if (!this.#commands.has(key) || how !== "rebase" || conflict.shown?.code !== "log-mismatch") return;
        this.#commands.delete(key);
        this.#blind.add(this.#stores.get(device) ?? "");
        return;
      }
      case "stream": {
        const { device, streamId, events, conflicts } = observation;
        const bodies = events.filter(({ isPending }) => !isPending).map(({ body }) => body);
        if (!this.#putBack.has(device)) this.#isEnough(this.#stores.get(device) ?? "", `${device}:${streamId}`, bodies);
        for (const conflict of conflicts ?? []) this.#isExplained(device, conflict);
        return;
      }
      case "edge-stream":
        if (!this.#putBack.hasStore(observation.store))
          this.#isEnough(observation.store, `${observation.store}/${observation.streamId}`, observation.events);
        return;
      default:
    }
  }

  #isEnough(store: string, where: string, events: readonly EventBody[]): void {
    const isGuarded = this.#guarded.has(store);
    if ((this.#blind.has(store) && !isGuarded) || !events.some(({ type }) => type === "Taken")) return;
    let left = 0;
    for (const { id, type, data, metadata } of events) {
      if (type !== "Filled" && type !== "Taken") continue;
      if (isGuarded) this.demand("$commandId" in metadata, () => `${where} has ${id}, which no command has led to`);
      left += (type === "Filled" ? 1 : -1) * unitsOf(data);
      this.demand(left >= 0, () => `${where} is taken down to ${left} by ${id}`);
    }
  }

  #isExplained(device: string, conflict: SeenConflict): void {
    const { shown, reason } = conflict;
    const key = keyOfFirst(conflict);
    const meant = this.#commands.get(`${device}/${key}`);
    if (meant === undefined || shown === undefined) return;
    this.demand(
      JSON.stringify({ decider: shown.command?.decider, data: shown.command?.data }) === meant && reason !== "",
      () => `${device}: the conflict of ${key} does not tell of ${meant}`,
    );
  }
}

function keyOfFirst({ events: [first] }: SeenConflict): string {
  return first === undefined ? "" : keyOf(first);
}

function unitsOf(data: unknown): number {
  return typeof data === "object" && data !== null && "units" in data ? Number(data.units) : Number.NaN;
}
