/** The page of the results: tables, and plots for what can be compared at a glance. What was not measured is said, and never filled in. */
import { type Failure, median } from "../measure.ts";
import type { Comparison, Growth, Latencies, Measured, Result } from "../results.ts";
import { HERE } from "../results.ts";
import type { Plot } from "./plot.ts";
import { count, number, pointOf, rateOf, sizesOf, spreadOf, unitOf, valuesOf } from "./tables.ts";

export interface DescribedPart {
  readonly name: string;
  readonly heading: string;
  readonly words: string;
  /** The engines that it can be measured in; none if it needs none. */
  readonly places: readonly string[];
}

/** A plot with the name of its file, without the theme and the ending. */
export interface NamedPlot {
  readonly file: string;
  readonly plot: Plot;
}

export interface PerformancePage {
  readonly text: string;
  readonly plots: readonly NamedPlot[];
}

/** What came of one title, in all places. */
interface InPlaces<T extends Result> {
  readonly where: string;
  readonly result: T;
}

export function pageOf(parts: readonly DescribedPart[], measured: readonly Measured[]): PerformancePage {
  const plots: NamedPlot[] = [];
  const sections = parts.map((part) =>
    sectionOf(
      part,
      measured.filter(({ part: name }) => name === part.name),
      plots,
    ),
  );
  const text = [introduction(measured), ...sections, versionsOf(measured)].join("\n\n");
  return { text: `${text}\n`, plots };
}

function introduction(measured: readonly Measured[]): string {
  const machines = [...new Set(measured.map(({ machine }) => machine))];
  const where =
    machines.length === 0
      ? "No part was measured yet."
      : `The machine: ${machines.join("; and for other parts: ")}. The browser, the edge and the bench share it, and the files are on its disk.
Other machines give other times: what carries over is how two sides compare.`;
  return `# Performance

What Headwater takes, beside what does the same or less in the same run. This page is made by \`node bench/report.ts\` from
[bench/results/latest.json](../bench/results/latest.json), which has every single time.

${where}

To measure again, on a machine that does nothing else:

    npm ci && npm ci --prefix bench/peers
    node scripts/chromium.mjs && node scripts/engines.mjs
    npm run bench
    node bench/report.ts

\`npm run bench -- device edge\` measures some parts, and leaves the results of the others as they are; \`npm run bench -- --help\` lists
parts and options. A result does not make the command fail.

How it is measured: all sides of a job take turns, round by round, in an order that changes from round to round. The first round is not
counted. A cell is the median, with the least and the most of all rounds behind it. If the spreads of two sides overlap, the run does not
show which one is faster. Less is better, except for rates.`;
}

function sectionOf(part: DescribedPart, measured: readonly Measured[], plots: NamedPlot[]): string {
  const blocks = [`## ${part.heading}`, part.words];
  if (measured.length === 0) return [...blocks, `**Not measured.** To measure it: \`npm run bench -- ${part.name}\`.`].join("\n\n");
  const order = [...part.places, HERE];
  const sorted = [...measured].sort((a, b) => order.indexOf(a.where) - order.indexOf(b.where));
  blocks.push(sorted.map(measurementLine).join("\n"));
  const missing = part.places.filter((place) => !measured.some(({ where }) => where === place));
  if (missing.length > 0) blocks.push(`Not measured in ${missing.join(", ")}.`);
  const titles = [...new Set(sorted.flatMap(({ results }) => results.map(({ title }) => title)))];
  for (const [i, title] of titles.entries()) {
    const found = sorted.flatMap(({ where, results }) =>
      results.filter((result) => result.title === title).map((result) => ({ where, result })),
    );
    blocks.push(`### ${capital(title)}`);
    blocks.push(...blocksOf(found, `${part.name}-${i + 1}`, plots));
  }
  return blocks.join("\n\n");
}

function measurementLine({ where, date, command, seconds, rounds, results }: Measured): string {
  const place = where === HERE ? "Measured" : `${where}: measured`;
  const turns = results.some(({ kind }) => kind === "comparison") ? `, ${rounds} round${rounds === 1 ? "" : "s"}` : "";
  const minutes = seconds < 90 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
  return `- ${place} on ${date.slice(0, 10)} by \`${command}\`${turns}, in ${minutes}.`;
}

function blocksOf(found: readonly InPlaces<Result>[], file: string, plots: NamedPlot[]): string[] {
  const ofKind = <Kind extends Result["kind"]>(kind: Kind) =>
    found.flatMap(({ where, result }) =>
      result.kind === kind ? [{ where, result: result as Extract<Result, { readonly kind: Kind }> }] : [],
    );
  const [comparisons, latencies] = [ofKind("comparison"), ofKind("latencies")];
  const blocks: string[] = [];
  if (comparisons.length > 0) blocks.push(...comparisonBlocks(comparisons, file, plots));
  if (latencies.length > 0) blocks.push(...latencyBlocks(latencies, file, plots));
  for (const [i, { where, result }] of ofKind("growth").entries())
    blocks.push(...growthBlocks(where, result, `${file}${i === 0 ? "" : `-${i + 1}`}`, plots));
  for (const { where, result } of ofKind("figures")) {
    if (where !== HERE) blocks.push(`${where}:`);
    blocks.push(
      table(
        result.columns,
        result.rows.map((row) => row.map((cell) => (typeof cell === "number" ? count(cell) : cell))),
      ),
    );
  }
  for (const { where, result } of ofKind("not-measured"))
    blocks.push(`**Not measured**${where === HERE ? "" : ` in ${where}`}: ${result.why}`);
  return blocks;
}

function comparisonBlocks(found: readonly InPlaces<Comparison>[], file: string, plots: NamedPlot[]): string[] {
  const [first] = found;
  if (first === undefined) return [];
  const sides = [...new Set(found.flatMap(({ result }) => result.sides.map(({ name }) => name)))];
  const unit = unitOf(first.result);
  const timesOf = ({ result }: InPlaces<Comparison>, name: string) => result.sides.find((side) => side.name === name)?.times ?? [];
  const dots = found.flatMap((each) =>
    each.result.sides
      .filter(({ times }) => times.length > 0)
      .map(({ name, times }) => {
        const [value, least, most] = valuesOf(each.result, times).map(positive) as [number, number, number];
        return { side: name, where: each.where, value, low: least, high: most };
      }),
  );
  const isHere = first.where === HERE || found.length === 1;
  // Of one opening, there is no rate.
  const hasRate = isHere && first.result.count > 1;
  const head = isHere
    ? [`${unit}${first.where === HERE ? "" : `, in ${first.where}`}`, ...(hasRate ? ["rate"] : [])]
    : found.map(({ where }) => where);
  const rows = sides.map((name) => {
    const cells = found.map((each) => {
      const times = timesOf(each, name);
      return times.length === 0 ? "not measured" : spreadOf(each.result, times);
    });
    const times = timesOf(first, name);
    return [name, ...cells, ...(hasRate ? [times.length === 0 ? "" : rateOf(first.result, times)] : [])];
  });
  const failures = found.flatMap(({ where, result }) => result.failures.map((failure) => failureLine(where, failure)));
  return [
    picture({ kind: "dots", alt: `${capital(first.result.title)}: the table below as a plot`, axis: unit, dots }, file, plots),
    ...(isHere ? [] : [`In ${unit}:`]),
    table(["", ...head], rows),
    ...(failures.length === 0 ? [] : [failures.join("\n")]),
  ];
}

function failureLine(where: string, { name, why }: Failure): string {
  return `- Not measured${where === HERE ? "" : ` in ${where}`}: ${name}. ${why}`;
}

function latencyBlocks(found: readonly InPlaces<Latencies>[], file: string, plots: NamedPlot[]): string[] {
  const whats = [...new Set(found.flatMap(({ result }) => result.rows.map(({ what }) => what)))];
  const rowOf = ({ result }: InPlaces<Latencies>, what: string) => result.rows.find((row) => row.what === what);
  const dots = found.flatMap(({ where, result }) =>
    result.rows
      .filter(({ p50 }) => p50 > 0)
      .map(({ what, p50, p99 }) => ({ side: what, where, value: p50, low: p50, high: positive(p99) })),
  );
  const head = found.map(({ where }) => `${where === HERE ? "" : `${where}: `}p50, p99`);
  const rows = whats.map((what) => [
    what,
    ...found.map((each) => {
      const row = rowOf(each, what);
      return row === undefined ? "not measured" : `${number(row.p50)}, ${number(row.p99)}`;
    }),
  ]);
  const counts = [...new Set(found.flatMap(({ result }) => result.rows.map((row) => row.count)))].map(count).join(" or ");
  return [
    picture({ kind: "dots", alt: "The table below as a plot", axis: "ms, from p50 to p99", dots }, file, plots),
    `Milliseconds; half of ${counts} repetitions were faster than p50, and 99 of 100 faster than p99:`,
    table(["", ...head], rows),
  ];
}

function growthBlocks(where: string, growth: Growth, file: string, plots: NamedPlot[]): string[] {
  const sizes = sizesOf(growth);
  const points = growth.lines.flatMap(({ what, points: of }) =>
    of.map((point) => {
      const [value, low, high] = pointOf(point).map(positive) as [number, number, number];
      return { what, size: count(point.at), value, low, high };
    }),
  );
  const rows = growth.lines.map(({ what, points: of }) => [
    what,
    ...sizes.map((size) => {
      const point = of.find(({ at }) => at === size);
      if (point === undefined) return "not measured";
      const [middle, low, high] = pointOf(point);
      return `${number(middle)} (${number(low)}–${number(high)})`;
    }),
  ]);
  const repetitions = median(growth.lines.flatMap(({ points: of }) => of.map(({ times }) => times.length)));
  const plot: Plot = {
    kind: "lines",
    alt: `${capital(growth.title)}: the table below as a plot`,
    axis: "ms",
    along: growth.along,
    sizes: sizes.map(count),
    points,
  };
  const place = where === HERE ? "" : `${where}. `;
  return [
    picture(plot, file, plots),
    `${place}Milliseconds by ${growth.along}, median and quartiles of ${count(repetitions)} repetitions:`,
    table(["", ...sizes.map(count)], rows),
  ];
}

function picture(plot: Plot, file: string, plots: NamedPlot[]): string {
  plots.push({ file, plot });
  return `<picture>
  <source media="(prefers-color-scheme: dark)" srcset="performance/${file}-dark.svg">
  <img alt="${plot.alt.replaceAll('"', "&quot;")}" src="performance/${file}.svg">
</picture>`;
}

function versionsOf(measured: readonly Measured[]): string {
  const versions = new Map<string, Set<string>>();
  for (const { versions: own } of measured) {
    for (const [name, version] of Object.entries(own)) versions.set(name, (versions.get(name) ?? new Set()).add(version));
  }
  const rows = [...versions].map(([name, all]) => [name === "Headwater" ? "Headwater, at commit" : name, [...all].join(", ")]);
  return `## Versions\n\n${rows.length === 0 ? "Nothing was measured yet." : table(["", "version"], rows)}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");
}

/** A logarithmic axis has no 0: some clocks count whole milliseconds. */
function positive(value: number): number {
  return Math.max(value, 0.001);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
