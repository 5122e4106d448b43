/**
 * Measures what the digests of content cost at the edge. The baseline is the same edge with a digest that is a constant: all else is the same,
 * also what is stored and sent.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { build } from "esbuild";
import { WORKER_BUNDLE } from "../test/support/worker-bundle.ts";
import { compare, timed } from "./measure.ts";
import type { Scale } from "./options.ts";
import { type Comparison, comparisonWithBaseline } from "./results.ts";
import { keepFiles, startEdge } from "./running.ts";

/** What is left out of `shared/event/digest.ts`, and what stands there instead. */
const LEFT_OUT = [
  ["return encoder.encodeInto(text, bytes).written;", "return text.length;"],
  ["let a = PRIME_1;", 'if (length >= 0) return "0000000000000000";\n  let a = PRIME_1;'],
] as const;
/** Of a round. */
const APPENDS = 200;
const PAGES = 40;
const PAGE_EVENTS = 1_000;

export async function measureDigests({ rounds, isQuick }: Scale): Promise<Comparison[]> {
  const [appendsOfARound, pagesOfARound] = isQuick ? [20, 4] : [APPENDS, PAGES];
  const folder = await mkdtemp("node_modules/.headwater-bench-");
  const remove = keepFiles(() => rm(folder, { recursive: true, force: true }));
  try {
    const main = join(folder, "worker.js");
    await writeFile(main, await withoutDigests());
    const [ours, theirs] = await Promise.all([startEdge(), startEdge(undefined, relative(".", main))]);
    try {
      const results: Comparison[] = [];
      for (const events of [1, 100]) {
        const body = JSON.stringify({ events: Array.from({ length: events }, (_, i) => eventOf(i)) });
        let round = 0;
        const appends = (url: string) =>
          timed(async () => {
            round++;
            for (let i = 0; i < appendsOfARound; i++) await call(`${url}/v1/bench/streams/Bench-${round}.${i % 10}`, body);
          });
        const facts = { baseline: "the same without digests", count: appendsOfARound * events, unit: "events" };
        const name = `edge: appends of ${events} event${events === 1 ? "" : "s"}, one after the other`;
        results.push(
          comparisonWithBaseline(
            await compare(
              { name, ...facts },
              () => appends(ours.url),
              () => appends(theirs.url),
              rounds,
            ),
          ),
        );
      }
      const pages = (url: string) =>
        timed(async () => {
          for (let i = 0; i < pagesOfARound; i++) await call(`${url}/v1/bench/feed?limit=${PAGE_EVENTS}&after=${i * PAGE_EVENTS}`);
        });
      results.push(
        comparisonWithBaseline(
          await compare(
            { name: `edge: pages of ${PAGE_EVENTS} events`, baseline: "the same without digests", count: pagesOfARound, unit: "pages" },
            () => pages(ours.url),
            () => pages(theirs.url),
            rounds,
          ),
        ),
      );
      return results;
    } finally {
      await Promise.all([ours.stop(), theirs.stop()]);
    }
  } finally {
    await remove();
  }
}

/** @returns the code of the edge */
async function withoutDigests(): Promise<string> {
  const { outputFiles } = await build({
    ...WORKER_BUNDLE,
    entryPoints: ["worker/main.ts"],
    plugins: [
      {
        name: "without-digests",
        setup: ({ onLoad }) => {
          onLoad({ filter: /shared\/event\/digest\.ts$/ }, async ({ path }) => {
            let contents = await readFile(path, "utf8");
            for (const [text, other] of LEFT_OUT) {
              if (!contents.includes(text)) throw new Error("The digest has another form: mend this measurement.");
              contents = contents.replace(text, other);
            }
            return { contents, loader: "ts" };
          });
        },
      },
    ],
  });
  return outputFiles[0]?.text ?? "";
}

function eventOf(i: number) {
  return {
    type: "Measured",
    data: { channel: "Internet", department: "General", responsible: `Resource${i % 50}`, text: "x".repeat(100) },
  };
}

async function call(url: string, body?: string): Promise<void> {
  const response = await fetch(url, body === undefined ? {} : { method: "POST", body });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${answer}`);
}
