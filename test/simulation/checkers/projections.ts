/**
 * If a projection has caught up, its rows are the fold of the feed from the first event, within the device's scope, and of the device's
 * pending events after it.
 */

import { keysOf } from "../../../shared/device/projection.ts";
import { isWithin } from "../../../shared/device/replica.ts";
import { type Ledger, OF_TURNOVER, TURNOVER } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class ProjectionChecker extends Checker {
  readonly name = "projections";

  see(observation: Observation): void {
    if (observation.kind !== "rows") return;
    const { device, scope, rows, confirmed, pending } = observation;
    const expected = new Map<string, Ledger>();
    for (const event of [...confirmed.filter(({ streamId }) => isWithin(scope, streamId)), ...pending]) {
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
