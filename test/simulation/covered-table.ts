/** The table of what ran, by file. */
import type { Lines } from "./covered-lines.ts";

export interface FileCoverage {
  readonly file: string;
  /** Whether the file is in a bundle at all. */
  readonly isBundled: boolean;
  /** That have code. */
  readonly lines: Lines;
  readonly run: Lines;
  /** Of which a part did not run. */
  readonly partly: Lines;
}

/** What no world runs, and why. */
const LEGEND = `
What worlds leave out:
  client/react.ts            needs React, which is the app's. Its live values are those that worlds listen to.
  worker/main.ts             calls createEdge without settings; so do the default settings in log-object.ts and subscription-object.ts.
  client/testing/, worker/testing/   support tests. Worlds run on worker/testing/, beside the bundles.
  assert, "satisfies never", unreachable(), unexpected errors of a session   are broken invariants, which the checkers look for.
  later.ts can't be loaded   a bundle has no chunks that are loaded later.
  old records (record.ts, subscription-record.ts, log-runs.ts, stream-runs.ts), read() and streams() of log-object.ts,
  a database of another version (connection.ts, database.ts)   are of versions before and after this one. A world has one version.
  limits of 1000 and more (open sockets, message sizes, groups of the outbox, segments at once)   need worlds a hundred times as large.
  a feed that the client does not understand   needs an edge that lies.`;

const SUPPORT = /^(?:client|worker)\/testing\//;

export function printTable(files: readonly FileCoverage[], isPartlyShown: boolean): void {
  const product = files.filter(({ file, lines }) => !SUPPORT.test(file) && lines.size > 0);
  const bundled = product.filter(({ isBundled }) => isBundled);
  const apart = product.filter(({ isBundled }) => !isBundled);
  for (const room of Map.groupBy(bundled, ({ file }) => roomOf(file))) printRows(...room, isPartlyShown);
  printRows("Not in the bundles", apart, isPartlyShown);
  const support = files.filter(({ file, lines }) => SUPPORT.test(file) && lines.size > 0);
  printRows("Test support, which is not counted", support, false);
  console.log(LEGEND);
  console.log("\nLines with code that ran:");
  for (const room of ["client", "worker", "shared"]) {
    const isOf = ({ file }: FileCoverage) => roomOf(file) === room;
    console.log(`  ${room.padEnd(8)}${shareOf(bundled.filter(isOf))} of the files in the bundles, ${shareOf(product.filter(isOf))} of all`);
  }
  const sides = product.filter(({ file }) => roomOf(file) !== "shared");
  console.log(
    `  ${"both".padEnd(8)}${shareOf(sides.filter(({ isBundled }) => isBundled))} of client/ and worker/, ${shareOf(sides)} of all there`,
  );
}

function printRows(title: string, files: readonly FileCoverage[], isPartlyShown: boolean): void {
  console.log(`\n${title}\n  lines    run`);
  for (const { file, lines, run, partly } of files) {
    const missed = run.size === lines.size || run.size === 0 ? "" : `  ${rangesOf(lines, (line) => !run.has(line))}`;
    const half = isPartlyShown && partly.size > 0 ? `  (in part: ${rangesOf(lines, (line) => partly.has(line))})` : "";
    const counts = `${String(lines.size).padStart(7)}${String(run.size).padStart(7)}${percent(run.size, lines.size).padStart(9)}`;
    console.log(`${counts}  ${file}${missed}${half}`);
  }
}

function roomOf(file: string): string {
  return file.slice(0, file.indexOf("/"));
}

function shareOf(files: readonly FileCoverage[]): string {
  const lines = files.reduce((sum, file) => sum + file.lines.size, 0);
  const run = files.reduce((sum, file) => sum + file.run.size, 0);
  return `${percent(run, lines)} (${run} of ${lines})`;
}

function percent(part: number, all: number): string {
  return `${((100 * part) / all).toFixed(1)} %`;
}

/** E.g. `3-5, 9`. A range goes on over lines without code. */
function rangesOf(lines: Lines, isMeant: (line: number) => boolean): string {
  const ranges: [first: number, last: number][] = [];
  let isOpen = false;
  for (const line of [...lines].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (!isMeant(line)) isOpen = false;
    else if (isOpen && last !== undefined) last[1] = line;
    else {
      ranges.push([line, line]);
      isOpen = true;
    }
  }
  return ranges.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(", ");
}
