/**
 * If a projection has caught up, its rows are the fold of the feed from the first event, and of the device's pending events after it. A
 * device that has followed more than it follows now keeps those events, and they are in no rows: nothing is demanded then.
 */

import { keysOf } from "../../../shared/device/projection.ts";
import { isWithin, type Scope } from "../../../shared/device/replica.ts";
import { type Ledger, OF_TURNOVER, TURNOVER } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class ProjectionChecker extends Checker {
  readonly name = "projections";

  /** What each device follows, and then what it may follow since: a tab asked for it and has not opened its store, or never will. */
  readonly #scopes = new Map<string, readonly Scope[]>();

  see(observation: Observation): void {
    if (observation.kind === "opened") this.#scopes.set(observation.device, [...this.#of(observation.device), observation.scope]);
    if (observation.kind === "follows") {
      const scopes = this.#of(observation.device);
      this.#scopes.set(observation.device, scopes.slice(scopes.lastIndexOf(observation.scope)));
    }
    if (observation.kind !== "rows") return;
    const { device, rows, confirmed, pending } = observation;
    const events = [...confirmed, ...pending].filter(({ streamId }) => OF_TURNOVER.stream(streamId));
    if (events.some(({ streamId }) => this.#of(device).some((scope) => !isWithin(scope, streamId)))) return;
    const expected = new Map<string, Ledger>();
    for (const event of events) {
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

  #of(device: string): readonly Scope[] {
    return this.#scopes.get(device) ?? [];
  }
}
