/** The app's own rules for commits that others' events came before, as `onConflict` and the table of commuting types define them. */

import { byCommutation, type CommutingPair, type Contested, type Resolution, type Resolve } from "../../shared/device/resolution.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { Ground } from "./ground.ts";
import type { AppRule } from "./params.ts";

const PAIRS: readonly CommutingPair[] = [
  ["Counted", "Counted"],
  ["Noted", "*"],
];

/** @param onRuled told what the app lets go of, and what it puts in its place */
export function ruleOf(ground: Ground, device: string, onRuled: (events: readonly EventBody[]) => void): Resolve<ConfirmedEvent> {
  return (contested) => {
    const resolution = decide(ground.params.rule, contested);
    if (resolution.kind === "park") return resolution;
    const by = resolution.kind === "rebase" ? (resolution.events ?? contested.events) : null;
    ground.observe({ kind: "ruled", device, events: contested.events, by });
    if (by !== contested.events) onRuled(contested.events);
    ground.count(by === null ? "discards by rule" : by === contested.events ? "rebases by rule" : "replacements by rule");
    return resolution;
  };
}

function decide(rule: AppRule, contested: Contested<ConfirmedEvent>): Resolution {
  switch (rule) {
    case "park":
      return { kind: "park" };
    case "commute":
      return byCommutation(PAIRS, contested) ?? { kind: "park" };
    case "rebase":
      return { kind: "rebase" };
    case "discard":
      return { kind: "discard" };
    case "replace":
      return { kind: "rebase", events: replaced(contested) };
    case "mixed":
      return decide(ruleByType(contested.events[0]?.type), contested);
    default:
      return rule satisfies never;
  }
}

function ruleByType(type: string | undefined): AppRule {
  if (type === "Counted") return "replace";
  return type === "Noted" ? "rebase" : "discard";
}

/** Other events, by ids that are the same each time that the rule is asked the same. */
function replaced({ events, actualVersion }: Contested<ConfirmedEvent>): EventBody[] {
  return events.map((event) => ({ ...event, id: `${event.id}'${actualVersion}`, data: { instead: event.id } }));
}
