/** Which lines of a source have code, and which of them ran: by source maps, and by the ranges that V8 counts. */
import { SourceMap, type SourceMapPayload } from "node:module";
import { transform } from "esbuild";

/** A range of a script in characters, and how often it ran. */
export interface CountedRange {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

/** Lines by number, from 1. */
export type Lines = ReadonlySet<number>;

/** Statements that only name other modules: they are not code that runs. */
const MODULE_STATEMENT = /^(?:import\b[^;]*;|export (?:\{[^;]*;|\* [^;]*;))/gm;
/** Only ends of what began before. */
const ONLY_ENDS = /^[\s})\];,]*$/;

/** Lines that the compiler makes code of. Types, comments, imports, blank lines and closing brackets are none. */
export async function linesWithCode(source: string): Promise<Lines> {
  const { code, map } = await transform(source, { loader: "ts", target: "node24", format: "esm", sourcemap: "external" });
  const left = code.replaceAll(MODULE_STATEMENT, (statement) => statement.replaceAll(/[^\n]/g, " "));
  const text = source.split("\n");
  const lines = new Set<number>();
  for (const { offset, line } of mappings(left, payloadOf(map))) {
    if (left[offset] !== " " && !ONLY_ENDS.test(text[line - 1] ?? "")) lines.add(line);
  }
  return lines;
}

/** For each source of a bundle: its lines of which some part ran, and those of which some part did not. */
export interface Ran {
  readonly some: Set<number>;
  readonly notAll: Set<number>;
}

/** @param ranges in the order in which V8 returns them: an inner range comes after the one that it is in */
export function ranOf(bundle: string, ranges: readonly CountedRange[]): ReadonlyMap<string, Ran> {
  const didRun = new Uint8Array(bundle.length).fill(1);
  for (const { startOffset, endOffset, count } of ranges) didRun.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  const [, inline] = /\/\/# sourceMappingURL=data:application\/json;base64,(\S+)\s*$/.exec(bundle) ?? [];
  if (inline === undefined) throw new Error("the bundle has no source map");
  const files = new Map<string, Ran>();
  for (const { offset, file, line } of mappings(bundle, payloadOf(Buffer.from(inline, "base64").toString()))) {
    const ran = files.get(file) ?? { some: new Set(), notAll: new Set() };
    files.set(file, ran);
    (didRun[offset] === 1 ? ran.some : ran.notAll).add(line);
  }
  return files;
}

interface Mapping {
  /** In the compiled code. */
  readonly offset: number;
  readonly file: string;
  readonly line: number;
}

/** The beginnings of all that the map knows. */
function* mappings(code: string, payload: SourceMapPayload): Generator<Mapping> {
  const map = new SourceMap(payload);
  let start = 0;
  for (const [generated, text] of code.split("\n").entries()) {
    for (let column = 0; column < text.length; column++) {
      const entry = map.findEntry(generated, column);
      if (!("originalLine" in entry) || entry.generatedLine !== generated || entry.generatedColumn !== column) continue;
      yield { offset: start + column, file: entry.originalSource, line: entry.originalLine + 1 };
    }
    start += text.length + 1;
  }
}

function payloadOf(json: string): SourceMapPayload {
  return JSON.parse(json) as SourceMapPayload; // as esbuild writes it
}
