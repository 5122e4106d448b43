/** How soon an event that one device appends can be read on another one, beside an echo. */
import { openStore, type Store } from "../client/index.ts";

/** Milliseconds of each, in the order in which they were measured. */
export interface LiveTimes {
  /** From an append on one device until another one reads it. */
  readonly seen: readonly number[];
  /** A WebSocket's echo of as much. */
  readonly echoed: readonly number[];
}

/** Two devices with live connections, one event at a time; after each an echo. */
export async function measureLive(url: string, echoUrl: string, count: number): Promise<LiveTimes> {
  const sync = { url, pollEvery: 600_000 };
  const [writer, reader] = await Promise.all(["writer", "reader"].map((name) => openStore({ name: `live-${name}`, sync })));
  if (writer === undefined || reader === undefined) throw new Error("two stores were opened");
  const echo = new WebSocket(echoUrl);
  await new Promise((resolve, reject) => {
    echo.addEventListener("open", resolve);
    echo.addEventListener("error", reject);
  });
  const times: { seen: number[]; echoed: number[] } = { seen: [], echoed: [] };
  const data = { number: 0, channel: "Internet", text: "x".repeat(100) };
  // The first ones open connections, and are not counted.
  for (let i = 1 - WARM; i <= count; i++) {
    const version = i + WARM;
    const start = performance.now();
    const seen = reads(reader, "Live-1", version);
    await writer.appendToStream("Live-1", [{ type: "Told", data: { ...data, number: version } }]);
    const took = (await seen) - start;
    // The writer too, before the next.
    await confirmed(writer, version);
    const sent = performance.now();
    const answered = new Promise((resolve) => echo.addEventListener("message", resolve, { once: true }));
    echo.send(JSON.stringify(data));
    await answered;
    if (i < 1) continue;
    times.seen.push(took);
    times.echoed.push(performance.now() - sent);
  }
  echo.close();
  await Promise.all([writer.close(), reader.close()]);
  return times;
}

const WARM = 20;

/** When the store can read so much of the stream. */
function reads(store: Store, streamId: string, version: number): Promise<number> {
  return new Promise((resolve) => {
    let off = () => {};
    const look = async () => {
      const slice = await store.readStream(streamId, { direction: "backwards", limit: 1 }).catch(() => undefined);
      if (slice === undefined || slice.version < version) return;
      off();
      resolve(performance.now());
    };
    off = store.liveStatus().subscribe(() => void look());
  });
}

/** All that the store has appended is confirmed. */
async function confirmed(store: Store, position: number): Promise<void> {
  const isThere = () => (store.status.cursor?.position ?? 0) >= position;
  let off = () => {};
  await new Promise<void>((resolve) => {
    off = store.liveStatus().subscribe(() => {
      if (isThere()) resolve();
    });
  });
  off();
}
