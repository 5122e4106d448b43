/**
 * What a run leaves: for each part, and for each place where it was measured, its results with the date, the command, the machine and the
 * versions. A run of some parts replaces these alone. `report.ts` makes a page of the file.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { dirname } from "node:path";
import type { Failure, Measurement, Outcome, Side } from "./measure.ts";

export type Result = Comparison | Latencies | Growth | Figures | NotMeasured;

/** A job that several sides did, round by round. */
export interface Comparison {
  readonly kind: "comparison";
  readonly title: string;
  /** Units of work in a round, and what one is, e.g. `append`. */
  readonly count: number;
  readonly unit: string;
  readonly sides: readonly Side[];
  /** Bytes of a round, if the rate in bytes is what counts. */
  readonly bytes?: number;
  readonly failures: readonly Failure[];
}

/** Milliseconds of single events. */
export interface Latencies {
  readonly kind: "latencies";
  readonly title: string;
  readonly rows: readonly { readonly what: string; readonly count: number; readonly p50: number; readonly p99: number }[];
}

/** How the time of an operation grows with something. */
export interface Growth {
  readonly kind: "growth";
  readonly title: string;
  /** What grows, e.g. `events in the store`. */
  readonly along: string;
  readonly lines: readonly { readonly what: string; readonly points: readonly GrowthPoint[] }[];
}

export interface GrowthPoint {
  readonly at: number;
  /** Milliseconds of each repetition. */
  readonly times: readonly number[];
}

/** A table of its own. */
export interface Figures {
  readonly kind: "figures";
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface NotMeasured {
  readonly kind: "not-measured";
  readonly title: string;
  readonly why: string;
}

export interface Measured {
  readonly part: string;
  /** A browser engine, or `here`. */
  readonly where: string;
  readonly date: string;
  readonly command: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly machine: string;
  /** Of the runtimes, engines and libraries that took part. */
  readonly versions: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
}

export interface Results {
  readonly measured: readonly Measured[];
}

/** Where a part runs that needs no certain browser engine. */
export const HERE = "here";
export const LATEST = "bench/results/latest.json";
/** Of a small run, which shows that the code works, and measures nothing. */
export const QUICK = "bench/results/quick.json";

export async function readResults(path: string): Promise<Results> {
  if (!existsSync(path)) return { measured: [] };
  const results: Partial<Results> = JSON.parse(await readFile(path, "utf8"));
  return { measured: results.measured ?? [] };
}

/** Replaces what is there of the same part and place. */
export async function mergeResults(path: string, measured: Measured): Promise<void> {
  const { measured: before } = await readResults(path);
  const others = before.filter(({ part, where }) => part !== measured.part || where !== measured.where);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, `${JSON.stringify({ measured: [...others, measured] }, undefined, 1)}\n`);
  await rename(`${path}.new`, path);
}

export function comparisonOf(title: string, count: number, unit: string, { sides, failures }: Outcome, bytes?: number): Comparison {
  return { kind: "comparison", title, count, unit, sides, failures, ...(bytes === undefined ? {} : { bytes }) };
}

/** A measurement with its one baseline. */
export function comparisonWithBaseline({ name, baseline, count, unit, ours, theirs }: Measurement): Comparison {
  const sides = [
    { name: "Headwater", times: ours },
    { name: baseline, times: theirs },
  ];
  return { kind: "comparison", title: name, count, unit: unit.replace(/s$/, ""), sides, failures: [] };
}

export function machineName(): string {
  const [first] = cpus();
  return `${first?.model.trim() ?? "an unknown processor"}, ${cpus().length} cores, ${Math.round(totalmem() / 1024 ** 3)} GiB, ${process.platform} ${release()}`;
}

/** @returns the version of a package that is installed there; undefined if it is not */
export async function packageVersion(name: string, folder = "."): Promise<string | undefined> {
  const path = `${folder}/node_modules/${name}/package.json`;
  if (!existsSync(path)) return undefined;
  const { version }: { version: string } = JSON.parse(await readFile(path, "utf8"));
  return version;
}

/** The commit that was measured, and whether files had been changed since. */
export function commitOfSources(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    const isChanged = git("status", "--porcelain", "--untracked-files=no", "--", "client", "worker", "shared") !== "";
    return `${git("rev-parse", "--short", "HEAD")}${isChanged ? " with changes" : ""}`;
  } catch {
    return "unknown";
  }
}
