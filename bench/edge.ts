/** Measures appends at the edge over HTTP. The baseline is an object that only inserts a row. */
import { startEdge } from "../test/support/edge.ts";
import { compare, type Measurement, timed } from "./measure.ts";

const CONNECTIONS = 16;
const APPENDS = 800;

export async function measureEdge(edgeUrl: string): Promise<Measurement[]> {
  const bare = await startEdge({}, "bench/bare/wrangler.toml");
  try {
    const results: Measurement[] = [];
    const body = JSON.stringify({
      events: [{ type: "Measured", data: { channel: "Internet", department: "General", responsible: "Resource26" } }],
    });
    let round = 0;
    for (const streams of [1, 50]) {
      const appends = (base: string) => {
        round++;
        return timed(() => atOnce(APPENDS, async (i) => post(`${base}${round}-${i % streams}`, body)));
      };
      results.push(
        await compare(
          {
            name: `edge: appends to ${streams} stream${streams === 1 ? "" : "s"}, ${CONNECTIONS} connections`,
            baseline: "an object that only inserts a row",
            count: APPENDS,
            unit: "appends",
          },
          () => appends(`${edgeUrl}/v1/bench/streams/Bench`),
          () => appends(`${bare.url}/Bench`),
        ),
      );
    }
    return results;
  } finally {
    await bare.stop();
  }
}

async function post(url: string, body: string): Promise<void> {
  const response = await fetch(url, { method: "POST", body });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${answer}`);
}

async function atOnce(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const connection = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, connection));
}
