/** The app's own rules for commits that others' events came before, as `onConflict` and the table of commuting types define them. */
import type { Contested } from "../../shared/device/resolution.ts";
import type { ConfirmedEvent, NewEvent } from "../../shared/event/event.ts";
import type { Ground } from "./ground.ts";
import { eventId, keyOf } from "./identity.ts";
import type { AppRule } from "./params.ts";
import type { StoreOptions } from "./tab.ts";

type OnConflict = NonNullable<StoreOptions["onConflict"]>;
type Answer = ReturnType<OnConflict>;

const COMMUTING: NonNullable<StoreOptions["commuting"]> = [
  ["Counted", "Counted"],
  ["Noted", "*"],
];

/** The rules of a device's app, which reports what it lets go of. */
export function rulesOf(ground: Ground, device: string): Pick<StoreOptions, "onConflict" | "commuting"> {
  const { rule } = ground.params;
  // What an app without rules has parked by default. Such a device writes pages relaxed.
  if (rule === "park") return {};
  const onConflict: OnConflict = (contested) => {
    const answer = decide(rule, contested);
    if (answer === "park") return answer;
    const { streamId, events } = contested;
    ground.observe({ kind: "ruled", device, streamId, events, isDiscarded: answer === "discard", isReplaced: Array.isArray(answer) });
    ground.count(Array.isArray(answer) ? "replacements by rule" : `${String(answer ?? "commutation")}s by rule`);
    return answer;
  };
  return { onConflict, commuting: rule === "commute" ? COMMUTING : [] };
}

function decide(rule: AppRule, contested: Contested<ConfirmedEvent>): Answer {
  switch (rule) {
    case "park":
      return "park";
    case "commute":
      return undefined;
    case "rebase":
    case "discard":
      return rule;
    case "replace":
      return replaced(contested);
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

/** Other events, with ids that are the same each time that the rule is called with the same. */
function replaced({ events, actualVersion }: Contested<ConfirmedEvent>): readonly NewEvent[] {
  return events.map((event) => ({ ...event, id: eventId(`instead of ${keyOf(event)}`, actualVersion) }));
}
