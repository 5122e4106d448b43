/** Following more of a store than before, or less. What a page does to a history that has a scope is in `history.ts`. */

import { sameJson } from "../json.ts";
import { isWithin, type Replica, type Scope } from "./replica.ts";

/**
 * The history with another scope: what is new in it is filled in up to the cursor. What the scope no longer covers stays on
 * the device as it is, and is filled in again should it come back.
 */
export function withScope(replica: Replica, scope: Scope): Replica {
  const before = replica.scope;
  if (sameJson(before, scope)) return replica;
  if (replica.position === 0) return { ...replica, scope, backfills: [] };
  const within = scope === null || before === null ? scope : scope.filter((part) => !isWithin(before, part));
  const isWider = before !== null && (within === null || within.length > 0);
  const kept = replica.backfills.flatMap((backfill) => {
    const left = common(backfill.within, scope);
    return left?.length === 0 ? [] : [{ ...backfill, within: left }];
  });
  return { ...replica, scope, backfills: isWider ? [...kept, { within, position: 0, upTo: replica.position }] : kept };
}

/** What both cover: of a category and a stream of it, the stream. */
function common(a: Scope, b: Scope): Scope {
  if (a === null || b === null) return a ?? b;
  return [...new Set([...a.filter((part) => isWithin(b, part)), ...b.filter((part) => isWithin(a, part))])];
}
