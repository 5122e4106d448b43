/** Commands with a live list, and queries, while many commits are pending, in one browser engine. */
import type { BrowserSession } from "./browser/engines.ts";
import type { Scale } from "./options.ts";
import type { RowTimes } from "./page/row-times.ts";
import type { Growth } from "./results.ts";
import { startEdge } from "./running.ts";

export async function measureRowsWithPending({ origin }: BrowserSession, { isQuick, rounds }: Scale): Promise<Growth[]> {
  const edge = await startEdge();
  try {
    const pending = isQuick ? [0, 100] : [0, 100, 3_000, 10_000];
    const measured = await origin.call("rows", `${edge.url}/v1/rows`, pending, rounds);
    const line = (what: string, timesOf: (row: RowTimes) => readonly number[]) => ({
      what,
      points: measured.map((row) => ({ at: row.pending, times: timesOf(row) })),
    });
    const lines = [
      line("a command, until `handle` has resolved", ({ handled }) => handled),
      line("the same, until a live list of 20 rows shows it", ({ shown }) => shown),
      line("a query of 5 rows", ({ queried }) => queried),
    ];
    return [{ kind: "growth", title: "rows while commits are pending", along: "pending commits", lines }];
  } finally {
    await edge.stop();
  }
}
