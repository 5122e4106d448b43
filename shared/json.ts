/**
 * What may be recorded: JSON, and nothing that JSON would change when it is stored. The one exception is −0, which is
 * stored as 0. A value is copied while it is checked. So exactly the checked value is stored, even if the original has getters or is
 * changed later. Keys such as `__proto__` become own properties of the copy and have no effect.
 */
import { HeadwaterError, InvalidRequestError, PayloadTooLargeError } from "./errors.ts";
import { messageOf } from "./thrown.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface JsonCopy {
  readonly value: Json;
  /** Length in bytes, as UTF-8 JSON without white space. It is measured when it is read. */
  readonly bytes: number;
}

/**
 * A deep copy of `value` and its size.
 *
 * @param field how errors name the value, e.g. `events[0].data`
 * @param depth how many levels of arrays and objects are allowed
 * @throws InvalidRequestError that names the place and what to use instead, for what JSON can't represent: `undefined`, functions,
 *   symbols, big integers, NaN, infinities, lone surrogates, holes, cycles, instances of a class (a Date, a Map), and what throws when it is
 *   read. Proxies of plain objects and arrays are copied like these, and symbols that are not enumerable are ignored: libraries that
 *   observe objects use both
 * @throws PayloadTooLargeError if it has more levels than `depth`
 */
export function copyJson(value: unknown, field: string, depth: number): JsonCopy {
  const copy = new Copier(field).copyAll(value, depth);
  return {
    value: copy,
    get bytes() {
      return utf8Length(JSON.stringify(copy));
    },
  };
}

/** What to use instead of an object with this tag of `Object.prototype.toString`. */
function insteadOf(tag: string): string | undefined {
  switch (tag) {
    case "Date":
      return "`toISOString()`";
    case "Map":
      return "`Object.fromEntries()`";
    case "Set":
      return "`Array.from()`";
    case "Promise":
      return "`await`";
    default:
      return undefined;
  }
}

/** Keeps the current place as a list of steps, because making the full name of every place would cost more than the copy. */
class Copier {
  readonly #field: string;
  readonly #path: (string | number)[] = [];
  /** The objects that contain the current place. */
  readonly #around: object[] = [];

  constructor(field: string) {
    this.#field = field;
  }

  copyAll(value: unknown, depth: number): Json {
    try {
      return this.#copy(value, depth);
    } catch (error) {
      if (error instanceof HeadwaterError) throw error;
      const field = this.#place();
      throw new InvalidRequestError(`${field} can't be read: ${messageOf(error)}`, { field }, { cause: error });
    }
  }

  #copy(value: unknown, depth: number): Json {
    if (typeof value === "string") return this.#wellFormed(value);
    if (typeof value === "number" || typeof value === "boolean" || value === null) {
      if (typeof value === "number" && !Number.isFinite(value)) throw this.#notJson(`is ${value}`, "null");
      return value === 0 ? 0 : value;
    }
    if (value === undefined) throw this.#notJson("is undefined", "null, or leave it out");
    if (typeof value !== "object") throw this.#notJson(`is a ${typeof value}`, "a string");
    if (this.#around.includes(value)) throw this.#notJson("is a cycle: it contains itself", "an id in its place");
    if (depth === 0) {
      throw new PayloadTooLargeError(`${this.#field} is nested too deeply: use fewer levels of arrays and objects.`, {
        field: this.#field,
      });
    }
    this.#around.push(value);
    const copy = Array.isArray(value) ? this.#array(value, depth - 1) : this.#object(value, depth - 1);
    this.#around.pop();
    return copy;
  }

  #array(value: readonly unknown[], depth: number): Json {
    const copy: Json[] = [];
    for (let i = 0; i < value.length; i++) {
      this.#path.push(i);
      copy.push(this.#copy(value[i], depth));
      this.#path.pop();
    }
    return copy;
  }

  #object(value: object, depth: number): Json {
    this.#assertPlain(value);
    const copy: { [key: string]: Json } = {};
    for (const key of Object.keys(value)) {
      this.#path.push(key);
      this.#wellFormed(key);
      const item = this.#copy((value as Readonly<Record<string, unknown>>)[key], depth);
      this.#path.pop();
      if (key === "__proto__") Object.defineProperty(copy, key, { value: item, enumerable: true, configurable: true, writable: true });
      else copy[key] = item;
    }
    return copy;
  }

  #assertPlain(value: object): void {
    const prototype: object | null = Object.getPrototypeOf(value);
    // An object of another realm (an iframe) has another Object.prototype, which itself has no prototype.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      const tag = Object.prototype.toString.call(value).slice(8, -1);
      const instead = insteadOf(tag);
      if (instead !== undefined) throw this.#notJson(`is a ${tag}`, instead);
      throw this.#notJson(
        `is an instance of ${prototype.constructor.name || "a class"}`,
        "toJSON" in value ? "its `toJSON()`" : "a plain object with its fields",
      );
    }
    const symbol = Object.getOwnPropertySymbols(value).find((key) => Object.prototype.propertyIsEnumerable.call(value, key));
    if (symbol !== undefined) throw this.#notJson(`has the key ${String(symbol)}`, "a string as the key");
  }

  #wellFormed(text: string): string {
    if (!text.isWellFormed()) throw this.#notJson("contains a lone surrogate", "`toWellFormed()`");
    return text;
  }

  #place(): string {
    return this.#field + this.#path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
  }

  #notJson(what: string, instead: string): InvalidRequestError {
    const field = this.#place();
    return new InvalidRequestError(`${field} ${what}, which JSON can't represent. Use ${instead}.`, { field });
  }
}

/** The number of bytes of a well-formed string in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A surrogate pair is two units and four bytes, so each half counts as two bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** Whether two JSON values are equal; the order of an object's keys does not matter. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]));
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether `value` is an object or an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null;
}
