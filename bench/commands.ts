/** Measures commands that the edge decides, beside appends without one: to streams of 1,000 events, awake, and just woken. */
import { median } from "./measure.ts";
import type { Scale } from "./options.ts";
import type { Figures } from "./results.ts";
import { startEdge } from "./running.ts";

const EVENTS = 1_000;
const APPENDS = 400;
/** Streams of each kind that wake up. */
const STREAMS = 12;

export async function measureCommands({ isQuick }: Scale): Promise<Figures[]> {
  const [appends, streams] = isQuick ? [20, 2] : [APPENDS, STREAMS];
  const edge = await startEdge({ AUTH: "open" }, "test/edge/guarded/worker.ts");
  try {
    const post = async (path: string, body: object) => {
      const response = await fetch(`${edge.url}/v1/bench${path}`, { method: "POST", body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
      await response.arrayBuffer();
    };
    const event = () => ({ id: crypto.randomUUID(), type: "StockFilled", data: { units: 1 } });
    const append = (streamId: string) => post(`/streams/${streamId}`, { events: [event()] });
    const command = (streamId: string) =>
      post(`/streams/${streamId}/commands`, { id: crypto.randomUUID(), decider: "stock", version: 1, data: { fill: 1 } });
    for (let n = 0; n < streams; n++) {
      for (const category of ["Stock", "Other"]) {
        for (let i = 0; i < EVENTS; i += 100) await post(`/streams/${category}-${n}`, { events: Array.from({ length: 100 }, event) });
      }
      // As it stands after a while of use: a snapshot is there.
      await command(`Stock-${n}`);
      await append(`Other-${n}`);
    }
    const times = { guarded: [] as number[], unguarded: [] as number[] };
    const timed = async (into: number[], work: () => Promise<void>) => {
      const start = performance.now();
      await work();
      into.push(performance.now() - start);
    };
    for (let i = 0; i < appends; i++) {
      await timed(times.guarded, () => command("Stock-0"));
      await timed(times.unguarded, () => append("Other-0"));
    }
    const woken = { guarded: [] as number[], unguarded: [] as number[] };
    for (let round = 0; round < 3; round++) {
      await edge.kill();
      await edge.start();
      // The Worker and the log are awake, and the streams are not.
      await append("Warm-1");
      for (let n = 0; n < streams; n++) {
        await timed(woken.guarded, () => command(`Stock-${n}`));
        await timed(woken.unguarded, () => append(`Other-${n}`));
      }
    }
    const columns = ["streams of 1,000 events", "commands, a second", "appends without one, a second", "ratio"];
    const rows = [rates("awake", times), rates("just woken", woken)];
    return [{ kind: "figures", title: "commands that the edge decides, one after the other", columns, rows }];
  } finally {
    await edge.stop();
  }
}

function rates(what: string, times: { readonly guarded: readonly number[]; readonly unguarded: readonly number[] }): (string | number)[] {
  const [ours, others] = [1000 / median(times.guarded), 1000 / median(times.unguarded)];
  return [what, Math.round(ours), Math.round(others), (ours / others).toFixed(2)];
}
