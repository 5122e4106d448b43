/**
 * The rows of a projection that has caught up are the fold of the feed from nothing, and of what the device has pending behind it.
 *
 * Where a device follows less than before, it keeps what it had. Rows may be without that, or hold it after a reset has taken it: where
 * the part and the position are the same again before anybody has looked, they pass for the rows that are due. So rows are looked
 * at while a device holds nothing beyond its filter, and no more once one whose filter has changed was reset.
 */
import { isWithin, type Scope } from "../../../shared/history.ts";
import { keysOf } from "../../../shared/projection.ts";
import { type Ledger, OF_TURNOVER, TURNOVER } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";
import { PutBack } from "./put-back.ts";

export class ProjectionChecker extends Checker {
  readonly name = "projections";
  readonly #putBack = new PutBack();
  readonly #scopes = new Map<string, Scope>();
  readonly #changed = new Set<string>();
  readonly #reset = new Set<string>();

  see(observation: Observation): void {
    this.#putBack.see(observation);
    if (observation.kind === "opened") {
      if (this.#scopes.has(observation.device)) this.#changed.add(observation.device);
      this.#scopes.set(observation.device, observation.scope);
    }
    if (observation.kind === "reset") this.#reset.add(observation.device);
    if (observation.kind !== "rows" || this.#putBack.has(observation.device) || this.#isExcused(observation)) return;
    const { device, rows, confirmed, pending } = observation;
    const expected = new Map<string, Ledger>();
    for (const event of [...confirmed, ...pending]) {
      if (!OF_TURNOVER.stream(event.streamId)) continue;
      for (const key of keysOf(TURNOVER, event)) {
        const row = TURNOVER.evolve(expected.get(key), event);
        if (row === undefined) expected.delete(key);
        else expected.set(key, row);
      }
    }
    const other = rows.find(({ key, row }) => row.digest !== expected.get(key)?.digest || row.events !== expected.get(key)?.events);
    this.demand(
      other === undefined,
      () => `${device}: the row ${other?.key} counts ${other?.row.events}, not ${JSON.stringify(expected.get(other?.key ?? ""))}`,
    );
    this.demand(rows.length === expected.size, () => `${device}: there are ${rows.length} rows, and ${expected.size} are due`);
  }

  #isExcused({ device, confirmed }: Observation & { kind: "rows" }): boolean {
    if (!this.#changed.has(device)) return false;
    const scope = this.#scopes.get(device) ?? null;
    return this.#reset.has(device) || confirmed.some(({ streamId }) => !isWithin(scope, streamId));
  }
}
