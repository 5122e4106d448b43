/**
 * What `JSON.parse` does not say about a text: where it is broken, where its names are, and which number would change. A text is walked
 * through token by token, and never recursively, because a text from outside may have any depth.
 *
 *     text ──► a long number in it? ── no ──► nothing is lost (one regular expression, nothing else is done)
 *                        └──── yes ──► walk ──► the first number whose value changes, with its place
 */

/** A place in a text, and in the value that the text describes. */
export interface JsonPlace {
  /** The offset in the text, in characters. */
  readonly at: number;
  /** The keys and indexes that lead there. */
  readonly path: readonly (string | number)[];
}

export interface LostNumber extends JsonPlace {
  /** As it is in the text. */
  readonly text: string;
}

/** Steps of a path in an error. Data that is stored has fewer levels. */
const LONGEST_PATH = 100;
/** Numbers of up to 15 digits, and exponents of up to two, never change. A string may match too, so a match is only a reason to look. */
const MAY_CHANGE = /(?:^|[:,[\s])-?\d(?:[\d.]{15}|[\d.]*[eE][+-]?\d{3})/;

/** The first number that `JSON.parse` changes. @param text valid JSON */
export function lostNumber(text: string): LostNumber | undefined {
  if (!MAY_CHANGE.test(text)) return undefined;
  let found: LostNumber | undefined;
  walk(text, (kind, token, at, path) => {
    if (kind === "number" && !survives(token)) found = { text: token, at, path: [...path] };
    return found === undefined;
  });
  return found;
}

/** The rest of a sentence that begins with the number's place. */
export function lostMessage({ text }: LostNumber): string {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return `is ${shown}, which would change to ${Number(text)}: write it as a string.`;
}

/**
 * Whether a number is the same after it was parsed. A whole number must be printed with the same digits. A fraction must
 * be what the parsed value is when it is printed with as many digits: other languages write more digits than JavaScript does.
 */
function survives(text: string): boolean {
  const wanted = decimalOf(text);
  if (wanted.digits === "") return true;
  const value = Number(text);
  if (isSame(decimalOf(`${value}`), wanted)) return true;
  const isWhole = wanted.digits.length <= wanted.exponent;
  return !isWhole && wanted.digits.length <= 100 && isSame(decimalOf(value.toPrecision(wanted.digits.length)), wanted);
}

interface Decimal {
  readonly digits: string;
  readonly exponent: number;
}

function isSame(a: Decimal, b: Decimal): boolean {
  return a.digits === b.digits && a.exponent === b.exponent;
}

/** The number is 0.`digits` × 10^`exponent`, without its sign. The digits have no zeros at either end; none are left of 0 and Infinity. */
function decimalOf(text: string): Decimal {
  const [, whole = "", fraction = "", power = "0"] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const all = whole + fraction;
  const digits = all.replace(/^0+/, "");
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  return { digits: digits.slice(0, end), exponent: Number(power) + whole.length - (all.length - digits.length) };
}

/** The offset of the first character that can't be JSON, which is the text's length if the text ends too early. Undefined if it is JSON. */
export function brokenAt(text: string): number | undefined {
  return walk(text, () => true);
}

/** The names of an object's own members, each as often as it is there. @param text of an object, valid JSON */
export function namesOf(text: string): readonly { readonly name: string; readonly at: number }[] {
  const names: { name: string; at: number }[] = [];
  walk(text, (kind, token, at, { length }) => {
    if (kind === "name" && length === 1) names.push({ name: JSON.parse(token), at });
    return true;
  });
  return names;
}

/** E.g. `events[0].data.x`; `whole` if the place is the whole value. A long path is cut. */
export function pathText(path: readonly (string | number)[], whole: string): string {
  const text = path
    .slice(0, LONGEST_PATH)
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
    .join("");
  return text === "" ? whole : text.replace(/^\./, "") + (path.length > LONGEST_PATH ? "…" : "");
}

type Path = (string | number)[];
/** @returns whether to go on */
type Visit = (kind: "name" | "number", token: string, at: number, path: Readonly<Path>) => boolean;

/** What comes next. `first` is a value or the end of an array, `firstName` a name or the end of an object, `comma` a comma or an end. */
type Next = "value" | "first" | "name" | "firstName" | "colon" | "comma" | "nothing";

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** @returns the offset at which the text is not JSON; undefined if it is, or if `visit` ended the walk */
function walk(text: string, visit: Visit): number | undefined {
  const path: Path = [];
  let next: Next = "value";
  let at = 0;
  for (;;) {
    at += lengthOf(SPACE, text, at);
    const character = text[at];
    if (character === undefined) return next === "nothing" ? undefined : at;
    const step = path.at(-1);
    if (isEnd(character, next, step)) {
      path.pop();
      next = path.length === 0 ? "nothing" : "comma";
      at++;
    } else if (next === "comma" || next === "colon") {
      if (character !== (next === "comma" ? "," : ":")) return at;
      if (next === "comma" && typeof step === "number") path[path.length - 1] = step + 1;
      next = next === "comma" && typeof step === "string" ? "name" : "value";
      at++;
    } else if (next === "name" || next === "firstName") {
      if (character !== '"') return at;
      const string = readString(text, at);
      if (!string.isWhole) return string.end;
      const token = text.slice(at, string.end);
      path[path.length - 1] = JSON.parse(token);
      if (!visit("name", token, at, path)) return undefined;
      next = "colon";
      at = string.end;
    } else if (next === "nothing") {
      return at;
    } else if (character === "{" || character === "[") {
      path.push(character === "{" ? "" : 0);
      next = character === "{" ? "firstName" : "first";
      at++;
    } else {
      const value = character === '"' ? readString(text, at) : { end: at + lengthOf(SCALAR, text, at), isWhole: true };
      if (!value.isWhole || value.end === at) return value.end;
      if (/[-\d]/.test(character) && !visit("number", text.slice(at, value.end), at, path)) return undefined;
      next = path.length === 0 ? "nothing" : "comma";
      at = value.end;
    }
  }
}

function isEnd(character: string, next: Next, step: string | number | undefined): boolean {
  if (character === "]") return next === "first" || (next === "comma" && typeof step === "number");
  return character === "}" && (next === "firstName" || (next === "comma" && typeof step === "string"));
}

/** @param pattern is sticky */
function lengthOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}

/** Where the string that begins at `at` ends, or at which offset it is broken. A loop, because a pattern runs out of room in a long string. */
function readString(text: string, at: number): { readonly end: number; readonly isWhole: boolean } {
  for (let i = at + 1; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) return { end: i + 1, isWhole: true };
    const escaped = unit === 0x5c ? lengthOf(ESCAPE, text, i) : 1;
    if (unit < 0x20 || escaped === 0) return { end: i, isWhole: false };
    i += escaped - 1;
  }
  return { end: text.length, isWhole: false };
}
