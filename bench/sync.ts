/** Syncing from an edge beside fetching the same pages, and reads of what is synced, in one browser engine. */
import type { BrowserSession } from "./browser/engines.ts";
import { dataFile } from "./browser/server.ts";
import type { Scale } from "./options.ts";
import { comparisonOf, type Result } from "./results.ts";
import { runNode, startEdge } from "./running.ts";

export async function measureSync({ origin }: BrowserSession, { rounds, isQuick }: Scale, say: (line: string) => void): Promise<Result[]> {
  const edge = await startEdge();
  try {
    const results: Result[] = [];
    for (const file of isQuick ? ["permits"] : ["permits", "tickets"]) {
      const url = `${edge.url}/v1/${file}`;
      await runNode(["cli/main.ts", "import", dataFile(file), "--url", url]);
      say(`${file}: imported`);
      const outcomes = [await origin.call("firstSync", file, url, rounds), ...(await origin.call("syncedReads", file, url, rounds))];
      results.push(...outcomes.map((outcome) => comparisonOf(outcome.title, outcome.count, outcome.unit, outcome)));
      say(`${file}: measured`);
    }
    return results;
  } finally {
    await edge.stop();
  }
}
