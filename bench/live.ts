/** Measures the time until an event that one device appends can be read on another one. The baseline is an echo. */
import { openStore, type Store } from "../client/index.ts";

/** Milliseconds of each event, in the order in which they were measured. */
export interface LiveTimes {
  /** From an append on one device until another one reads it. */
  readonly seen: readonly number[];
  /** Until a WebSocket has echoed the same data. */
  readonly echoed: readonly number[];
}

/** Two devices with feed sockets, one event at a time, each followed by an echo. */
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
  // The first 20 open connections, and are not counted.
  for (let i = 1 - WARM; i <= count; i++) {
    const version = i + WARM;
    const start = performance.now();
    const seen = reads(reader, "Live-1", version);
    await writer.appendToStream("Live-1", [{ type: "Told", data: { ...data, number: version } }]);
    const took = (await seen) - start;
    // The writer must have received the event too before the next one.
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

/** Resolves with the time at which the store can read the stream up to this version. */
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

/** Resolves when the store's cursor has reached this position, so that its appends are confirmed. */
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
