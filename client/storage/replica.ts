/** Which history a device follows when the app opens its store, as far as that needs nothing else: `model/scope.ts` has the rest. */
import type { History, Scope } from "../../shared/device/replica.ts";
import { sameJson } from "../../shared/json.ts";

/** Whether the edge goes on with it: the device holds nothing that it ordered itself, and follows what the app wants to. */
export function isFollowing(history: History, filter: Scope): boolean {
  return history.authority === "edge" && sameJson(scopeWith(history, filter), history.scope);
}

/** Single streams that were followed stay so: commits to them may wait to be confirmed. */
export function scopeWith({ scope }: Pick<History, "scope">, filter: Scope): Scope {
  return filter && [...new Set([...filter, ...(scope ?? []).filter((part) => part.includes("-"))])];
}
