/** Measures the edge over HTTP: appends, a page of the feed, and pushes, each beside what does less in the same runtime. */
import { interleaved, timed } from "./measure.ts";
import type { Scale } from "./options.ts";
import { type Comparison, comparisonOf } from "./results.ts";
import { startEdge } from "./running.ts";

/** The baselines. */
export const BARE = "bench/bare/worker.ts";
const CONNECTIONS = 16;
const PAGE_EVENTS = 1_000;
/** Of a push, each to a stream of its own. */
const COMMITS = 20;

export async function measureEdge({ rounds, isQuick }: Scale, say: (line: string) => void): Promise<Comparison[]> {
  const sizes = isQuick ? { appends: 64, pages: 4, pushes: 3 } : { appends: 800, pages: 40, pushes: 20 };
  const [edge, bare] = await Promise.all([startEdge(), startEdge({}, BARE)]);
  try {
    const results: Comparison[] = [];
    for (const measure of [
      () => measureAppends(edge.url, bare.url, 1, sizes.appends, rounds),
      () => measureAppends(edge.url, bare.url, 50, sizes.appends, rounds),
      () => measurePages(edge.url, bare.url, sizes.pages, rounds),
      () => measurePushes(edge.url, sizes.pushes, rounds),
    ]) {
      const result = await measure();
      say(result.title);
      results.push(result);
    }
    return results;
  } finally {
    await Promise.all([edge.stop(), bare.stop()]);
  }
}

async function measureAppends(edge: string, bare: string, streams: number, appends: number, rounds: number): Promise<Comparison> {
  let round = 0;
  const body = JSON.stringify({ events: [eventOf(0)] });
  const work = (urlOf: (i: number) => string) => () => {
    round++;
    return timed(() => atOnce(appends, (i) => post(urlOf(i), body)));
  };
  const outcome = await interleaved(
    [
      { name: "Headwater", round: work((i) => `${edge}/v1/bench/streams/Bench${round}-${i % streams}`) },
      { name: "a bare object that inserts a row", round: work((i) => `${bare}/Bench${round}-${i % streams}`) },
      { name: "a Worker that answers at once", round: work(() => `${bare}/at-once`) },
    ],
    rounds,
  );
  return comparisonOf(`appends to ${streams} stream${streams === 1 ? "" : "s"}, ${CONNECTIONS} connections`, appends, "append", outcome);
}

async function measurePages(edge: string, bare: string, pages: number, rounds: number): Promise<Comparison> {
  const store = `${edge}/v1/pages`;
  for (let i = 0; i < PAGE_EVENTS; i += COMMITS * 10) {
    const commits = Array.from({ length: COMMITS }, (_, at) => ({
      streamId: `Page-${at}`,
      events: Array.from({ length: 10 }, (_, one) => eventOf(i + at * 10 + one)),
    }));
    await post(`${store}/commits`, JSON.stringify({ commits }));
  }
  const url = `${store}/feed?limit=${PAGE_EVENTS}`;
  const page = await (await fetch(url)).text();
  if (JSON.parse(page).events.length !== PAGE_EVENTS) throw new Error("The page is not full.");
  await (await fetch(`${bare}/file`, { method: "PUT", body: page })).arrayBuffer();
  const get = (address: string) => () =>
    timed(async () => {
      for (let i = 0; i < pages; i++) await (await fetch(address)).arrayBuffer();
    });
  const outcome = await interleaved(
    [
      { name: "Headwater, a page of the feed", round: get(url) },
      { name: "a file of the same bytes, from a Worker's memory", round: get(`${bare}/file`) },
    ],
    rounds,
  );
  const bytes = Buffer.byteLength(page);
  return comparisonOf(`a page of 1,000 events, ${Math.round(bytes / 1024)} KiB`, pages, "page", outcome, bytes * pages);
}

async function measurePushes(edge: string, pushes: number, rounds: number): Promise<Comparison> {
  let round = 0;
  const streamId = (i: number) => `Pushed${round}-${i}`;
  const single = (i: number) => post(`${edge}/v1/pushes/streams/${streamId(i)}`, JSON.stringify({ events: [eventOf(i)] }));
  const work = (group: (i: number) => Promise<unknown>) => () => {
    round++;
    return timed(async () => {
      for (let i = 0; i < pushes; i++) await group(i * COMMITS);
    });
  };
  const numbers = Array.from({ length: COMMITS }, (_, i) => i);
  const outcome = await interleaved(
    [
      {
        name: `one push of ${COMMITS} commits`,
        round: work((from) => {
          const commits = numbers.map((i) => ({ streamId: streamId(from + i), events: [eventOf(i)] }));
          return post(`${edge}/v1/pushes/commits`, JSON.stringify({ commits }));
        }),
      },
      { name: `${COMMITS} appends at once`, round: work((from) => Promise.all(numbers.map((i) => single(from + i)))) },
      {
        name: `${COMMITS} appends, one after the other`,
        round: work(async (from) => {
          for (const i of numbers) await single(from + i);
        }),
      },
    ],
    rounds,
  );
  return comparisonOf(`commits to ${COMMITS} new streams`, pushes * COMMITS, "commit", outcome);
}

function eventOf(i: number) {
  const data = { channel: "Internet", department: "General", responsible: `Resource${i % 50}`, text: "x".repeat(100) };
  return { type: "Measured", data };
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
