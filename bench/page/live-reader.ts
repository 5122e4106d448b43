/**
 * The device that hears of events, for `live.ts`: in a frame of another site, so that it has a thread and storage of its own where the browser
 * isolates sites. Its clock is the machine's, as that of the page is.
 */
import { openStore, type Store } from "../../client/index.ts";
import { messageOf } from "../measure.ts";

export const READER = "#reader";

/** What the page sends: the reader's store, and then, again and again, the position that it waits for. */
export type ToReader = { readonly open: string; readonly url: string } | { readonly wanted: number };

/** What the page gets. Times are milliseconds since 1970. */
export type FromReader = "loaded" | "opened" | "waiting" | Reached | { readonly error: string };

export interface Reached {
  readonly message: number;
  readonly statusTold: number;
  readonly read: number;
}

/** Milliseconds since 1970, as exact as the browser allows. */
export function machineTime(): number {
  return performance.timeOrigin + performance.now();
}

export function serveReader(): void {
  let store: Store | undefined;
  let message = Number.NaN;
  const tell = (what: FromReader) => parent.postMessage(what, "*");
  const webSocket = (address: string, protocols: string[]) => {
    const socket = new WebSocket(address, protocols);
    socket.addEventListener("message", ({ data }) => {
      if (String(data).startsWith("{") && Number.isNaN(message)) message = machineTime();
    });
    return socket;
  };
  const serve = async (given: ToReader) => {
    if ("open" in given) {
      store = await openStore({ name: given.open, persist: false, sync: { url: given.url, pollEvery: 600_000, webSocket } });
      await store.sync();
      return tell("opened");
    }
    if (store === undefined) throw new Error("The reader has no store yet.");
    message = Number.NaN;
    const seen = reached(store, given.wanted);
    tell("waiting");
    await seen;
    const statusTold = machineTime();
    const { version } = await store.readStream("Live-1", { direction: "backwards", limit: 1 });
    if (version !== given.wanted) throw new Error(`The stream is at ${version} in place of ${given.wanted}`);
    tell({ message, statusTold, read: machineTime() });
  };
  globalThis.addEventListener("message", ({ data }: MessageEvent<ToReader>) => {
    serve(data).catch((error: unknown) => tell({ error: messageOf(error) }));
  });
  tell("loaded");
}

/** Resolves when the store's status says that it has this position. The only stream's versions are the positions. */
export async function reached(store: Store, position: number): Promise<void> {
  let off = () => {};
  await new Promise<void>((resolve) => {
    off = store.liveStatus().subscribe(({ cursor }) => {
      if ((cursor?.position ?? 0) >= position) resolve();
    });
  });
  off();
}
