/** Following more of a store than before, or less. What a page does to a history that has a scope is in `history.ts`. */

import { sameJson } from "../json.ts";
import { type History, isWithin, type Scope } from "./replica.ts";

/**
 * The history with another scope: what is new in it is filled in up to the cursor. What the scope no longer covers stays on
 * the device as it is, and is filled in again should it come back.
 */
export function withScope(history: History, scope: Scope): History {
  const before = history.scope;
  if (sameJson(before, scope)) return history;
  if (history.position === 0) return { ...history, scope, fills: [] };
  const within = scope === null || before === null ? scope : scope.filter((part) => !isWithin(before, part));
  const isWider = before !== null && (within === null || within.length > 0);
  const kept = history.fills.flatMap((fill) => {
    const left = common(fill.within, scope);
    return left?.length === 0 ? [] : [{ ...fill, within: left }];
  });
  return { ...history, scope, fills: isWider ? [...kept, { within, position: 0, upTo: history.position }] : kept };
}

/** What both cover: of a category and a stream of it, the stream. */
function common(a: Scope, b: Scope): Scope {
  if (a === null || b === null) return a ?? b;
  return [...new Set([...a.filter((part) => isWithin(b, part)), ...b.filter((part) => isWithin(a, part))])];
}
