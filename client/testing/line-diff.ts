/** Compares two JSON values line by line: `-` marks a line that is only in the first, `+` one that is only in the second. */
import type { Json } from "../../shared/json.ts";

/** Equal lines that are shown before and after a difference. */
const CONTEXT = 5;

export function diffOf(before: Json, after: Json): string {
  const lines = compare(linesOf(before), linesOf(inOrderOf(before, after)));
  const isNear = (i: number) =>
    i < 0 || i >= lines.length || lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(({ sign }) => sign !== " ");
  // A single hidden line is shown: it takes no more room than the ellipsis.
  const isShown = (i: number) => isNear(i) || (isNear(i - 1) && isNear(i + 1));
  const shown = lines.map(({ sign, text }, i) => (isShown(i) ? `  ${sign} ${text}` : ELLIPSIS));
  return shown.filter((line, i) => line !== ELLIPSIS || shown[i - 1] !== ELLIPSIS).join("\n");
}

const ELLIPSIS = "    …";

function linesOf(value: Json): string[] {
  return JSON.stringify(value, null, 2).split("\n");
}

/** The value with its keys in the order of the other's keys. The order has no meaning, and would show as a difference. */
function inOrderOf(other: Json | undefined, value: Json): Json {
  if (typeof value !== "object" || value === null || typeof other !== "object" || other === null) return value;
  if (isArray(value)) return isArray(other) ? value.map((item, i) => inOrderOf(other[i], item)) : value;
  if (isArray(other)) return value;
  const keys = [...new Set([...Object.keys(other), ...Object.keys(value)])].filter((key) => Object.hasOwn(value, key));
  return Object.fromEntries(keys.map((key) => [key, inOrderOf(other[key], value[key] ?? null)]));
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

interface Line {
  readonly sign: " " | "-" | "+";
  readonly text: string;
}

/** Compares by a longest common subsequence. It needs a cell for each pair of lines, which is little for the events of one command. */
function compare(before: readonly string[], after: readonly string[]): Line[] {
  const rows = before.length + 1;
  const width = after.length + 1;
  /** For each pair of lines: how many lines from there on can be common. */
  const common = new Uint32Array(rows * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [left, right] = [before[i], after[j]];
    if (left === undefined && right === undefined) return lines;
    if (left !== undefined && left === right) {
      lines.push({ sign: " ", text: left });
      i++;
      j++;
    } else if (left !== undefined && (right === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: "-", text: left });
      i++;
    } else {
      lines.push({ sign: "+", text: right ?? "" });
      j++;
    }
  }
}
