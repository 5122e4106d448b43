/**
 * From an append on one device until another one has it, leg by leg. Both devices are stores in one page, so that they have one clock. The
 * functions that they are given for `fetch` and for the feed socket note the times, and the baseline is an echo.
 */
import { openStore, type Store, type SyncOptions } from "../../client/index.ts";

/** Milliseconds of each event, by the leg, in the order in which they happen. */
export type LiveLegs = readonly { readonly what: string; readonly times: readonly number[] }[];

interface Moments {
  appended?: number;
  pushSent?: number;
  pushAnswered?: number;
  message?: number;
  statusTold?: number;
  read?: number;
}

const LEGS: readonly { readonly what: string; readonly from: keyof Moments | "begun"; readonly to: keyof Moments }[] = [
  { what: "the append resolves", from: "begun", to: "appended" },
  { what: "then the push is sent (below 0: before it resolved)", from: "appended", to: "pushSent" },
  { what: "then the other device receives the message", from: "pushSent", to: "message" },
  { what: "then its status is told", from: "message", to: "statusTold" },
  { what: "then the event was read there", from: "statusTold", to: "read" },
  { what: "beside that: from the push until its answer", from: "pushSent", to: "pushAnswered" },
  { what: "all: from the append until the other device's status is told", from: "begun", to: "statusTold" },
  { what: "all: from the append until it was read there", from: "begun", to: "read" },
];

/** The first ones open connections, and are not counted. */
const WARM = 20;

/** @param url an empty store at the edge @param echoUrl a bare echo on a WebSocket of the same runtime */
export async function measureLive(url: string, echoUrl: string, count: number): Promise<LiveLegs> {
  let moments: Moments = {};
  const id = crypto.randomUUID();
  const open = (name: string, sync: Pick<SyncOptions, "fetch" | "webSocket">) =>
    openStore({ name: `${name}-${id}`, persist: false, sync: { url, pollEvery: 600_000, ...sync } });
  const writer = await open("writer", {
    fetch: async (input, init) => {
      if (init?.method !== "POST") return fetch(input, init);
      moments.pushSent ??= performance.now();
      const answer = await fetch(input, init);
      moments.pushAnswered ??= performance.now();
      return answer;
    },
    webSocket: true,
  });
  const reader = await open("reader", {
    webSocket: (address, protocols) => {
      const socket = new WebSocket(address, protocols);
      socket.addEventListener("message", ({ data }) => {
        if (String(data).startsWith("{")) moments.message ??= performance.now();
      });
      return socket;
    },
  });
  const echo = new WebSocket(echoUrl);
  await new Promise((resolve, reject) => {
    echo.addEventListener("open", resolve);
    echo.addEventListener("error", reject);
  });
  const times = new Map<string, number[]>();
  const note = (what: string, time: number) => times.set(what, [...(times.get(what) ?? []), time]);
  const data = { number: 0, channel: "Internet", text: "x".repeat(100) };
  for (let version = 1; version <= count + WARM; version++) {
    moments = {};
    const seen = seenBy(reader, version, moments);
    const begun = performance.now();
    await writer.appendToStream("Live-1", [{ type: "Told", data: { ...data, number: version } }]);
    moments.appended = performance.now();
    await seen;
    // The writer must have received the event and its push's answer too before the next one.
    await reached(writer, version);
    while (moments.pushAnswered === undefined) await new Promise((resolve) => setTimeout(resolve));
    const sent = performance.now();
    const answered = new Promise((resolve) => echo.addEventListener("message", resolve, { once: true }));
    echo.send(JSON.stringify(data));
    await answered;
    const echoed = performance.now() - sent;
    if (version <= WARM) continue;
    for (const { what, from, to } of LEGS)
      note(what, (moments[to] ?? Number.NaN) - (from === "begun" ? begun : (moments[from] ?? Number.NaN)));
    note("a bare WebSocket's echo of the same runtime", echoed);
  }
  echo.close();
  await Promise.all([writer.close(), reader.close()]);
  return [...times].map(([what, of]) => ({ what, times: of }));
}

/** Resolves when the store has the event, and has read it. */
async function seenBy(store: Store, version: number, moments: Moments): Promise<void> {
  await reached(store, version);
  moments.statusTold = performance.now();
  const { version: read } = await store.readStream("Live-1", { direction: "backwards", limit: 1 });
  moments.read = performance.now();
  if (read !== version) throw new Error(`The stream is at ${read} in place of ${version}`);
}

/** Resolves when the store's status says that it has this position. The only stream's versions are the positions. */
async function reached(store: Store, position: number): Promise<void> {
  let off = () => {};
  await new Promise<void>((resolve) => {
    off = store.liveStatus().subscribe(({ cursor }) => {
      if ((cursor?.position ?? 0) >= position) resolve();
    });
    if ((store.status.cursor?.position ?? 0) >= position) resolve();
  });
  off();
}
