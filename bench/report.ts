/**
 * `node bench/report.ts`: makes `docs/performance.md`, and its plots in `docs/performance/`, of the results that are saved.
 * `node bench/report.ts FILE FOLDER` makes them of other results, in another folder.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ENGINES } from "./browser/engines.ts";
import { arePeersInstalled } from "./browser/server.ts";
import { PARTS } from "./parts.ts";
import { type DescribedPart, pageOf } from "./report/page.ts";
import type { Draw, Theme } from "./report/plot.ts";
import { LATEST, readResults } from "./results.ts";

const THEMES: readonly Theme[] = ["light", "dark"];

const [file = LATEST, folder = "docs"] = process.argv.slice(2);
if (!arePeersInstalled()) throw new Error("The plots are drawn by a library of bench/peers: run npm ci --prefix bench/peers first.");
// A name that the compiler does not know: it has to pass without the peers.
const { draw }: { readonly draw: Draw } = await import(new URL("peers/draw.ts", import.meta.url).href);

const { measured } = await readResults(file);
const parts = PARTS.map(
  (part): DescribedPart => ({
    name: part.name,
    heading: part.heading,
    words: part.words,
    places: "engines" in part && part.engines === "all" ? ENGINES : [],
  }),
);
const { text, plots } = pageOf(parts, measured);
const pictures = join(folder, "performance");
await rm(pictures, { recursive: true, force: true });
await mkdir(pictures, { recursive: true });
for (const { file: name, plot } of plots) {
  for (const theme of THEMES)
    await writeFile(join(pictures, `${name}${theme === "light" ? "" : "-dark"}.svg`), `${await draw(plot, theme)}\n`);
}
await writeFile(join(folder, "performance.md"), text);
console.log(`${join(folder, "performance.md")} has ${plots.length} plots.`);
