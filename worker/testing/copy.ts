/** Values on their way between objects and into storage: structured clones. Plain data, nearly all of it, is copied without the serializer. */

type Callable = (...given: never[]) => unknown;

export interface CopyRules {
  /** Makes the stub of a function. Left out: a function can't be copied. */
  readonly stubOf?: (run: Callable) => unknown;
  /** Whether an instance of a class becomes a plain object, as in storage. A call refuses it. */
  readonly plainClasses?: boolean;
}

/** @throws DOMException (DataCloneError) for a value that can't be copied */
export function copyOf<T>(value: T, rules?: CopyRules): T;
export function copyOf(value: unknown, rules: CopyRules = {}): unknown {
  switch (typeof value) {
    case "function":
      if (rules.stubOf === undefined) throw notCopied("A function");
      return rules.stubOf(value as Callable); // what `typeof` says
    case "symbol":
      throw notCopied("A symbol");
    case "object":
      return value === null ? null : copyObject(value, rules);
    default:
      return value;
  }
}

function copyObject(value: object, rules: CopyRules): unknown {
  if (Array.isArray(value)) return value.map((item) => copyOf(item, rules));
  if (value instanceof Uint8Array) return value.slice();
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    if (isKnownClass(value)) return structuredClone(value);
    if (rules.plainClasses !== true) throw notCopied(`An instance of the class ${value.constructor.name}`);
  }
  const copy: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (key === "__proto__")
      Object.defineProperty(copy, key, { value: copyOf(field, rules), enumerable: true, configurable: true, writable: true });
    else copy[key] = copyOf(field, rules);
  }
  return copy;
}

function isKnownClass(value: object): boolean {
  return (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Date ||
    value instanceof RegExp ||
    value instanceof Error ||
    isBytes(value)
  );
}

/** Typed arrays other than `Uint8Array` are rare enough to be left out. */
function isBytes(value: object): value is ArrayBuffer | Uint8Array {
  return value instanceof ArrayBuffer || value instanceof Uint8Array;
}

function notCopied(what: string): DOMException {
  return new DOMException(`${what} could not be cloned.`, "DataCloneError");
}

/** Bytes of a value as V8 serializes it, which the platform's limits count. Of a class other than those of plain data: of its fields. */
export function serializedSize(value: unknown): number {
  return 2 + sizeOf(value);
}

function sizeOf(value: unknown): number {
  switch (typeof value) {
    case "string":
      return sizeOfText(value);
    case "number":
      return Number.isInteger(value) && Math.abs(value) < 2 ** 30 ? 1 + varint(Math.abs(value) * 2) : 9;
    case "bigint":
      return 10;
    case "object":
      return value === null ? 1 : sizeOfObject(value);
    default:
      return 1;
  }
}

function sizeOfObject(value: object): number {
  if (isBytes(value)) return 8 + value.byteLength;
  if (Array.isArray(value)) return sizeOfAll(value, 3 + 2 * varint(value.length));
  const parts = value instanceof Map ? [...value].flat() : value instanceof Set ? [...value] : Object.entries(value).flat();
  return sizeOfAll(parts, 2 + varint(parts.length));
}

function sizeOfAll(parts: readonly unknown[], around: number): number {
  return parts.reduce<number>((size, part) => size + sizeOf(part), around);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all characters of one byte
const ONE_BYTE = /^[\u0000-\u00ff]*$/;

function sizeOfText(text: string): number {
  const bytes = ONE_BYTE.test(text) ? text.length : text.length * 2;
  return 1 + varint(bytes) + bytes;
}

function varint(value: number): number {
  return value < 2 ** 7 ? 1 : value < 2 ** 14 ? 2 : value < 2 ** 21 ? 3 : value < 2 ** 28 ? 4 : 5;
}
