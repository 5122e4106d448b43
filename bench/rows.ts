/**
 * Measures commands with a live list of 20 rows, and queries of 5 rows, at several numbers of pending commits, in Chromium. The baseline is
 * the same with nothing pending. `node bench/rows.ts` prints it.
 */
import { startEdge } from "../test/support/edge.ts";
import { measureRowsInBrowser } from "./browser.ts";
import { median } from "./measure.ts";

const PENDING = [0, 100, 3_000, 10_000];
const ROUNDS = 7;

/** Milliseconds: medians of all rounds. */
export interface RowCosts {
  readonly pending: string;
  readonly "handle awaited": number;
  readonly "until the list shows it": number;
  readonly "query of 5 rows": number;
}

export async function measureRowCosts(): Promise<RowCosts[]> {
  const edge = await startEdge();
  try {
    const times = await measureRowsInBrowser(`${edge.url}/v1/rows`, PENDING, ROUNDS);
    return times.map(({ pending, handled, shown, queried }) => ({
      pending: pending.toLocaleString("en"),
      "handle awaited": rounded(handled),
      "until the list shows it": rounded(shown),
      "query of 5 rows": rounded(queried),
    }));
  } finally {
    await edge.stop();
  }
}

function rounded(times: readonly number[]): number {
  return Number(median(times).toFixed(2));
}

if (import.meta.main) {
  console.log(`Rows with commits pending, in Chromium; milliseconds, medians of ${ROUNDS} rounds`);
  console.table(await measureRowCosts());
}
