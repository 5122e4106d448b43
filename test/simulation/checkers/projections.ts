/**
 * The rows of a projection that has caught up are the fold of the feed from nothing, and of what the device has pending behind it.
 *
 * Where a device follows less than before, it keeps what it had, until it is reset: rows may then stay of what the reset has taken, since
 * the part and the position are the same again. That is not held against it.
 */
import { keysOf } from "../../../shared/projection.ts";
import { type Ledger, OF_TURNOVER, TURNOVER } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";
import { PutBack } from "./put-back.ts";

export class ProjectionChecker extends Checker {
  readonly name = "projections";
  readonly #putBack = new PutBack();
  readonly #scopes = new Map<string, number>();
  readonly #excused = new Set<string>();

  see(observation: Observation): void {
    this.#putBack.see(observation);
    if (observation.kind === "opened") this.#scopes.set(observation.device, (this.#scopes.get(observation.device) ?? 0) + 1);
    if (observation.kind === "reset" && (this.#scopes.get(observation.device) ?? 0) > 1) this.#excused.add(observation.device);
    if (observation.kind !== "rows" || this.#putBack.has(observation.device) || this.#excused.has(observation.device)) return;
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
}
