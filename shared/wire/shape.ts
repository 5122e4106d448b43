/**
 * A shape says as plain data what a message looks like. Three things are made of it: its type (`Shaped`), its check
 * (`match`), and at the edge the JSON Schema of `/openapi.json`.
 *
 *     "string"                       a value of this kind, see `Kinds`
 *     "string|null"                  that, or null
 *     '"committed"'                  this text; it has none of | ? =
 *     [shape]                        an array of such
 *     { name: shape, … }             an object with these fields
 *     ["tag", { a: {…}, b: {…} }]    one of these objects, and its field `tag` says which: "a" or "b"
 *
 * and for a field only:
 *
 *     "string?"                      that, or nothing
 *     "string=any"                   that, and "any" where there is nothing
 *
 * 1. What matches is copied with the fields that its shape names. Others are ignored, so that an older side understands a newer one.
 * 2. What does not match is told by its first wrong field, in the order of the shape.
 * 3. Fields are looked up by the names in the shape, never by those in the message, so that a key such as `__proto__` stays inert.
 *    So no shape has a name that every object has, such as `constructor`.
 *
 * What is `json`, `object` or `unknown` is neither looked into nor copied.
 */
import { type ErrorCode, isErrorCode } from "../errors.ts";
import type { EventMetadata } from "../event/event.ts";
import { type ExpectedVersion, isExpectedVersion } from "../expected-version.ts";
import { isObject, type Json, type JsonObject } from "../json.ts";
import { isOrdinal, type Position, type Version } from "../order.ts";

export interface Kinds {
  string: string;
  boolean: boolean;
  number: number;
  /** From 0. */
  "whole number": number;
  version: Version;
  position: Position;
  code: ErrorCode;
  expectedVersion: ExpectedVersion;
  /** It came out of JSON, and a page has a thousand of them: it is not walked through again. */
  json: Json;
  object: EventMetadata;
  /** Whoever reads it checks it. */
  unknown: unknown;
}
export type Kind = keyof Kinds;

export type Text = `"${string}"`;
export type Term = Kind | `${Kind}|null` | Text;
export type FieldTerm = Term | `${Kind}?` | `${"string" | "unknown"}=${string}`;
export type Shape = Term | Fields | ListOf | OneOf;
export type FieldShape = FieldTerm | Shape;
export type Fields = { readonly [name: string]: FieldShape };
export type ListOf = readonly [item: Shape];
export type OneOf = readonly [tag: string, members: { readonly [name: string]: Fields }];

/** The type of what matches. */
export type Shaped<S> = S extends Kind
  ? Kinds[S]
  : S extends `${infer K extends Kind}|null`
    ? Kinds[K] | null
    : S extends `"${infer T}"`
      ? T
      : S extends ListOf
        ? Shaped<S[0]>[]
        : S extends OneOf
          ? { [M in keyof S[1]]: Flat<Record<S[0], M> & ShapedFields<S[1][M]>> }[keyof S[1]]
          : Flat<ShapedFields<S>>;

type ShapedFields<F> = {
  -readonly [N in keyof F as F[N] extends `${Kind}?` ? never : N]: F[N] extends `${infer K extends Kind}=${string}`
    ? Kinds[K]
    : Shaped<F[N]>;
} & {
  -readonly [N in keyof F as F[N] extends `${Kind}?` ? N : never]?: F[N] extends `${infer K extends Kind}?` ? Kinds[K] | undefined : never;
};
/** One object type out of several, for whoever reads it. */
type Flat<T> = T extends infer O ? { [N in keyof O]: O[N] } : never;

/** What does not match, and where: the names and indexes that lead to it, none where it is the whole. */
export class Mismatch {
  readonly expected: string;
  readonly received: unknown;
  readonly path: readonly (string | number)[];

  constructor(expected: string, received: unknown, ...path: readonly (string | number)[]) {
    this.expected = expected;
    this.received = received;
    this.path = path;
  }

  within(name: string | number): Mismatch {
    return new Mismatch(this.expected, this.received, name, ...this.path);
  }
}

/** A copy of what `value` has of the shape; or what does not match. */
export function match<S extends Shape>(shape: S, value: unknown): Shaped<S> | Mismatch {
  return copy(shape, value) as Shaped<S> | Mismatch; // `Shaped` says in types what `copy` does
}

function copy(shape: FieldShape, value: unknown): unknown {
  if (typeof shape === "string") return copyValue(shape, value);
  if (isList(shape)) return copyItems(shape[0], value);
  if (!isObject(value)) return new Mismatch("object", value);
  return isOneOf(shape) ? copyMember(shape, value) : copyFields(shape, value, {});
}

function copyItems(shape: Shape, value: unknown): unknown {
  if (!Array.isArray(value)) return new Mismatch("array", value);
  const items: unknown[] = [];
  for (let i = 0; i < value.length; i++) {
    const item = copy(shape, value[i]);
    if (item instanceof Mismatch) return item.within(i);
    items.push(item);
  }
  return items;
}

function copyFields(fields: Fields, value: JsonObject, into: Record<string, unknown>): unknown {
  for (const name in fields) {
    const field = copy(fields[name] as FieldShape, value[name]);
    if (field instanceof Mismatch) return field.within(name);
    if (field !== undefined) into[name] = field;
  }
  return into;
}

function copyMember([tag, members]: OneOf, value: JsonObject): unknown {
  for (const name in members) {
    if (value[tag] === name) return copyFields(members[name] as Fields, value, { [tag]: name });
  }
  return new Mismatch(Object.keys(members).join(" or "), value[tag], tag);
}

function copyValue(term: FieldTerm, value: unknown): unknown {
  const [kind, mark, text] = readTerm(term);
  if (value === undefined && mark === "?") return value;
  if (value === undefined && mark === "=") return text;
  if (isOf(kind, value) || (value === null && mark === "|")) return value;
  return new Mismatch(kind, value);
}

export function isList(shape: Fields | ListOf | OneOf): shape is ListOf {
  return Array.isArray(shape) && shape.length === 1;
}

export function isOneOf(shape: Fields | OneOf): shape is OneOf {
  return Array.isArray(shape);
}

function isOf(kind: Kind | Text, value: unknown): boolean {
  switch (kind) {
    case "string":
    case "boolean":
    case "number":
      return typeof value === kind;
    case "whole number":
    case "version":
    case "position":
      return isOrdinal(value);
    case "code":
      return isErrorCode(value);
    case "expectedVersion":
      return isExpectedVersion(value);
    case "object":
      return isObject(value) && !Array.isArray(value);
    case "json":
    case "unknown":
      return value !== undefined;
    default:
      return (kind satisfies Text) === JSON.stringify(value);
  }
}

export type Parts = readonly [kind: Kind | Text, mark?: "|" | "?" | "=", text?: string];

/** Terms taken apart: a page has thousands of values, and its shape a dozen terms. */
const parts = new Map<FieldTerm, Parts>();

export function readTerm(term: FieldTerm): Parts {
  let read = parts.get(term);
  if (read === undefined) {
    read = term.split(/([|?=])/) as unknown as Parts; // by the type of terms
    parts.set(term, read);
  }
  return read;
}
