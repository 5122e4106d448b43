/** Changing the scope: a device follows more of a store than before, or less. How pages are applied within a scope is in `replica.ts`. */

import { sameJson } from "../json.ts";
import { isWithin, type Replica, type Scope } from "./replica.ts";

/**
 * The replica with another scope. The parts that are new in it are backfilled up to the cursor. Events that the scope no longer covers
 * stay on the device as they are. If a later scope covers them again, they are backfilled again.
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

/** The scope of a filter. Streams that were followed by their id stay followed: commits to them may be pending. */
export function scopeOfFilter(before: Scope, filter: Scope): Scope {
  if (filter === null) return null;
  const isStream = (part: string) => part.includes("-");
  return [...new Set([...filter, ...(before ?? []).filter(isStream)])];
}

/** The scope of all tabs that are open on a device: each of them follows what its own filter asks for. */
export function scopeOfFilters(before: Scope, filters: readonly Scope[]): Scope {
  const parts = filters.flatMap((filter) => filter ?? []);
  return scopeOfFilter(before, filters.includes(null) ? null : parts);
}

/** Whether the scope covers all that a filter asks for. */
export function isCovered(scope: Scope, filter: Scope): boolean {
  return scope === null || filter?.every((part) => isWithin(scope, part)) === true;
}

/**
 * The scope with these parts, and all that it covered before. A stream with pending commits is followed, whatever the filter, so that the feed
 * delivers them.
 */
export function scopeWith(scope: Scope, added: Scope): Scope {
  if (scope === null || added === null) return null;
  return [...new Set([...scope, ...added.filter((part) => !isWithin(scope, part))])];
}

/** The parts that both scopes cover. If one has a category and the other a stream of it, the stream. */
function common(a: Scope, b: Scope): Scope {
  if (a === null || b === null) return a ?? b;
  return [...new Set([...a.filter((part) => isWithin(b, part)), ...b.filter((part) => isWithin(a, part))])];
}
