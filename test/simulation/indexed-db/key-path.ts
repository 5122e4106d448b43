/** Key paths: https://w3c.github.io/IndexedDB/#key-path-construct. These are pure functions. No fault can strike here. */
import { failure, must } from "./failure.ts";
import type { Key } from "./keys.ts";

export type KeyPath = string | readonly string[] | null;

/** @throws SyntaxError if it is no valid key path */
export function toKeyPath(given: unknown): KeyPath {
  if (given === undefined || given === null) return null;
  const paths = Array.isArray(given) ? given.map(String) : String(given);
  const isValid = Array.isArray(paths) ? paths.length > 0 && paths.every(isPath) : isPath(paths as string);
  must(isValid, "SyntaxError", "The keyPath argument contains an invalid key path.");
  return paths;
}

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200C\u200D]*$/u;

function isPath(path: string): boolean {
  return path === "" || path.split(".").every((name) => NAME.test(name));
}

/** What the path leads to in the value; undefined if it leads nowhere. */
export function valueAt(value: unknown, path: string | readonly string[]): unknown {
  if (typeof path === "string") return memberAt(value, path);
  const members = path.map((one) => memberAt(value, one));
  return members.includes(undefined) ? undefined : members;
}

function memberAt(value: unknown, path: string): unknown {
  if (path === "") return value;
  if (!path.includes(".")) return memberOf(value, path);
  return path.split(".").reduce(memberOf, value);
}

function memberOf(value: unknown, name: string): unknown {
  if (name === "length" && (typeof value === "string" || Array.isArray(value))) return value.length;
  if (typeof value !== "object" || value === null) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

/** True if a key that the database assigns can be stored in the value at the path. */
export function canTakeKey(value: unknown, path: string): boolean {
  const names = path.split(".").slice(0, -1);
  let at = value;
  for (const name of names) {
    if (!isObject(at)) return false;
    if (!Object.hasOwn(at, name)) return true;
    at = at[name];
  }
  return isObject(at);
}

/** Stores a key that the database has assigned in the value at the path. */
export function setKey(value: unknown, path: string, key: Key): void {
  const names = path.split(".");
  const last = names.pop() ?? "";
  let at = value;
  for (const name of names) {
    if (!isObject(at)) throw failure("DataError", "The value has no place for the key.");
    if (!Object.hasOwn(at, name)) at[name] = {};
    at = at[name];
  }
  if (isObject(at)) at[last] = key;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
