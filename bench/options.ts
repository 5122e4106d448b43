/** The arguments of the command. */
import { parseArgs } from "node:util";
import { ENGINES } from "./browser/engines.ts";

export interface Scale {
  /** Rounds that count; one more runs before them. */
  readonly rounds: number;
  /** A small run, which shows that the code works: its figures say nothing. */
  readonly isQuick: boolean;
  /** Whether the growth goes up to a million events. */
  readonly hasMillion: boolean;
}

export interface Options {
  readonly parts: readonly string[];
  readonly engines: readonly string[];
  readonly scale: Scale;
  /** As it was typed, with the folder for profiles and storage, if another one than the system's was given. */
  readonly command: string;
}

export const USAGE = `npm run bench [-- [parts] [options]]

  --engine NAME   only this browser engine, may be given again: ${ENGINES.join(", ")}
  --rounds N      rounds that count; default 5
  --million       the growth goes up to a million events
  --quick         a small run, which shows that the code works; its figures say nothing, and go to bench/results/quick.json`;

export function readOptions(args: readonly string[], known: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      engine: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      million: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(`${USAGE}\n\nParts: ${known.join(", ")}`);
    process.exit(0);
  }
  const unknownPart = positionals.find((part) => !known.includes(part));
  if (unknownPart !== undefined) throw new Error(`There is no part ${unknownPart}. Choose from ${known.join(", ")}.`);
  const unknownEngine = values.engine.find((engine) => !ENGINES.includes(engine));
  if (unknownEngine !== undefined) throw new Error(`There is no engine ${unknownEngine}. Choose from ${ENGINES.join(", ")}.`);
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds must be a whole number from 1.");
  return {
    parts: positionals.length === 0 ? known : positionals,
    engines: values.engine.length === 0 ? ENGINES : values.engine,
    scale: { rounds, isQuick: values.quick, hasMillion: values.million },
    command: [
      ...(process.env["TMPDIR"] === undefined ? [] : [`TMPDIR=${process.env["TMPDIR"]}`]),
      "npm run bench",
      ...(args.length === 0 ? [] : ["--", ...args.map((arg) => (arg.includes(" ") ? JSON.stringify(arg) : arg))]),
    ].join(" "),
  };
}
