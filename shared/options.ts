/**
 * Options: what an app hands over beside the arguments, and what a function accepts of it. Each set of options has one description, beside
 * its interface. The check is made of it, and so is the list in docs/options.md.
 *
 * - An option that the description does not name is rejected, because it is a typo, or means something that would not happen.
 * - `undefined` is the same as leaving an option out.
 * - An error names the option, says what it must be, and shows nothing of a text: it may be a secret.
 */
import { InvalidRequestError } from "./errors.ts";
import { isObject } from "./json.ts";
import { isOrdinal } from "./order.ts";
import { toStoreUrl } from "./store-url.ts";
import { LONGEST_TIMER } from "./wait.ts";

/** One option. */
export interface Option {
  /** What it must be: the end of a sentence. */
  readonly what: string;
  readonly accepts: (value: unknown) => boolean;
  /** The value if it is left out. */
  readonly preset?: unknown;
  readonly isRequired?: boolean;
}

/** The options of `T`, each by its name. */
export type OptionsOf<T> = { readonly [N in keyof T]-?: Option };

/** Options with the presets of their description. */
export type Complete<T, D> = T & Required<Pick<T, PresetsOf<D> & keyof T>>;
type PresetsOf<D> = { [N in keyof D]-?: D[N] extends { readonly preset: unknown } ? N : never }[keyof D];

export const callback: Option = { what: "a function", accepts: (value) => typeof value === "function" };
export const flag: Option = { what: "true or false", accepts: (value) => typeof value === "boolean" };
export const text: Option = { what: "a text that is not empty", accepts: (value) => typeof value === "string" && value !== "" };
export const list: Option = { what: "a list", accepts: Array.isArray };
export const object: Option = { what: "an object", accepts: (value) => isObject(value) && !Array.isArray(value) };
export const texts: Option = {
  what: "a text that is not empty, or a list of such texts",
  accepts: (value) => [value].flat().every(text.accepts),
};
/** Versions, positions and counts that may be 0. */
export const ordinal: Option = { what: "a whole number from 0", accepts: isOrdinal };
export const count: Option = { what: "a whole number from 1", accepts: (value) => isOrdinal(value) && value > 0 };
export const milliseconds = /* @__PURE__ */ upTo(LONGEST_TIMER);
export const timeout: Option = {
  what: `milliseconds: 0, ${milliseconds.what}, or Infinity`,
  accepts: (value) => value === 0 || value === Number.POSITIVE_INFINITY || milliseconds.accepts(value),
};
export const storeUrl: Option = {
  what: "an absolute http or https address without query, hash and user, e.g. https://events.example.com/v1/permits",
  accepts: (value) => toStoreUrl(value) !== undefined,
};

export const direction = /* @__PURE__ */ withPreset(/* @__PURE__ */ oneOf("forwards", "backwards"), "forwards");
/** An event that leads to others. */
export const cause: Option = {
  what: "an event with its id and metadata",
  accepts: (value) => isObject(value) && typeof value["id"] === "string" && isObject(value["metadata"]),
};

/** A whole number from 1. */
export function upTo(most: number): Option {
  return { what: `${count.what} to ${most}`, accepts: (value) => count.accepts(value) && Number(value) <= most };
}

export function oneOf(...values: readonly string[]): Option {
  return { what: values.map((value) => `"${value}"`).join(" or "), accepts: (value) => values.includes(value as string) };
}

export function withPreset<P>(option: Option, preset: P): Option & { readonly preset: P } {
  return { ...option, preset };
}

export function required(option: Option): Option {
  return { ...option, isRequired: true };
}

/**
 * A copy of the options, checked, with presets for those that are left out.
 *
 * @param at what errors put before the name of an option, e.g. `sync.`
 * @throws InvalidRequestError that names the option
 */
export function completeOptions<T extends object, D extends OptionsOf<T>>(given: T, described: D, at = ""): Complete<T, D> {
  const wrong = (field: string, sentence: string) => new InvalidRequestError(`${field} ${sentence}`, { field });
  if (!object.accepts(given)) throw wrong(at.replace(/\.$/, "") || "options", `must be ${object.what}, not ${nameOf(given)}.`);
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(described, name));
  if (unknown !== undefined) throw wrong(at + unknown, `is not an option here. Options are ${Object.keys(described).join(", ")}.`);
  const complete: Record<string, unknown> = {};
  for (const [name, { what, accepts, preset, isRequired }] of Object.entries<Option>(described)) {
    const value: unknown = Reflect.get(given, name);
    if (value === undefined ? isRequired : !accepts(value)) throw wrong(at + name, `must be ${what}, not ${nameOf(value)}.`);
    const chosen = value === undefined ? preset : value;
    if (chosen !== undefined) complete[name] = chosen;
  }
  return complete as Complete<T, D>; // each option was checked by its description
}

/** What a value is, without its content. */
function nameOf(value: unknown): string {
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "an object";
  return value === undefined ? "undefined" : `a ${typeof value}`;
}
