/** Which history a device follows when the app opens its store, as far as that needs nothing else: `model/scope.ts` has the rest. */
import type { Replica, Scope } from "../../shared/device/replica.ts";
import { sameJson } from "../../shared/json.ts";

/** Whether the edge goes on with it: the device holds nothing that it ordered itself, and follows what the app wants to. */
export function isFollowing(replica: Replica, filter: Scope): boolean {
  return replica.authority === "edge" && sameJson(scopeWith(replica, filter), replica.scope);
}

/** Single streams that were followed stay so: commits to them may wait to be confirmed. */
export function scopeWith({ scope }: Pick<Replica, "scope">, filter: Scope): Scope {
  return filter && [...new Set([...filter, ...(scope ?? []).filter((part) => part.includes("-"))])];
}
