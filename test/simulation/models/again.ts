/** Commands that are decided again because others' events came into their stream first, as `client/conflicts/resolver.ts` implements it. */
import type { AnyDecider, DecidedEvent } from "../../../shared/device/decider.ts";
import type { Contested, Resolution, Resolve } from "../../../shared/device/resolution.ts";
import type { ConfirmedEvent, EventBody } from "../../../shared/event/event.ts";
import { stock } from "../../support/stock.ts";
import type { Ground } from "../ground.ts";

const DECIDERS: ReadonlyMap<string, AnyDecider> = new Map([[stock.name, stock]]);

/**
 * @param complete makes events of what was decided
 * @param others what becomes of commits that came from no command
 */
export function decidingAgain(
  ground: Ground,
  device: string,
  complete: (events: readonly DecidedEvent[]) => readonly EventBody[],
  others: Resolve<ConfirmedEvent>,
): Resolve<ConfirmedEvent> {
  return (contested) => (contested.command === undefined ? others(contested) : again(contested));

  function again(contested: Contested<ConfirmedEvent>): Resolution {
    const resolution = ground.rules.decideAgain(DECIDERS, contested, (event) => event, complete);
    ground.count(resolution.kind === "rebase" ? "commands decided again" : "commands decided again and refused");
    if (resolution.kind === "rebase") {
      ground.observe({ kind: "ruled", device, events: contested.events, by: resolution.events ?? contested.events });
    }
    return resolution;
  }
}
