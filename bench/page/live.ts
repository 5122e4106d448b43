/**
 * From an append on one device until another one has it, leg by leg. The device that appends is a store in the page, the other one a store in a
 * frame (`live-reader.ts`). The functions that they are given for `fetch` and for the feed socket note the times, and the baseline is an echo.
 */
import { openStore } from "../../client/index.ts";
import { type FromReader, machineTime, READER, type Reached, reached, type ToReader } from "./live-reader.ts";

/** Milliseconds of each event, by the leg, in the order in which they happen. */
export type LiveLegs = readonly { readonly what: string; readonly times: readonly number[] }[];

interface Moments extends Reached {
  readonly begun: number;
  readonly appended: number;
  readonly pushSent: number;
  readonly pushAnswered: number;
}

const LEGS: readonly { readonly what: string; readonly from: keyof Moments; readonly to: keyof Moments }[] = [
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
  let pushSent = Number.NaN;
  let pushAnswered = Number.NaN;
  const id = crypto.randomUUID();
  const writer = await openStore({
    name: `writer-${id}`,
    persist: false,
    sync: {
      url,
      pollEvery: 600_000,
      fetch: async (input, init) => {
        if (init?.method !== "POST") return fetch(input, init);
        pushSent = machineTime();
        const answer = await fetch(input, init);
        pushAnswered = machineTime();
        return answer;
      },
    },
  });
  const reader = await Reader.open(`reader-${id}`, url);
  const echo = new WebSocket(echoUrl);
  await new Promise((resolve, reject) => {
    echo.addEventListener("open", resolve);
    echo.addEventListener("error", reject);
  });
  const times = new Map<string, number[]>();
  const note = (what: string, time: number) => times.set(what, [...(times.get(what) ?? []), time]);
  const data = { number: 0, channel: "Internet", text: "x".repeat(100) };
  for (let version = 1; version <= count + WARM; version++) {
    pushAnswered = Number.NaN;
    const seen = await reader.wait(version);
    const begun = machineTime();
    await writer.appendToStream("Live-1", [{ type: "Told", data: { ...data, number: version } }]);
    const appended = machineTime();
    const there = await seen();
    // The writer must have received the event and its push's answer too before the next one.
    await reached(writer, version);
    while (Number.isNaN(pushAnswered)) await new Promise((resolve) => setTimeout(resolve));
    const moments: Moments = { begun, appended, pushSent, pushAnswered, ...there };
    const sent = machineTime();
    const answered = new Promise((resolve) => echo.addEventListener("message", resolve, { once: true }));
    echo.send(JSON.stringify(data));
    await answered;
    const echoed = machineTime() - sent;
    if (version <= WARM) continue;
    for (const { what, from, to } of LEGS) note(what, moments[to] - moments[from]);
    note("a bare WebSocket's echo of the same runtime", echoed);
  }
  echo.close();
  reader.close();
  await writer.close();
  return [...times].map(([what, of]) => ({ what, times: of }));
}

type Told = Exclude<FromReader, { readonly error: string }>;

class Reader {
  readonly #frame: HTMLIFrameElement;

  private constructor(frame: HTMLIFrameElement) {
    this.#frame = frame;
  }

  static async open(name: string, url: string): Promise<Reader> {
    const { protocol, hostname, port } = location;
    const frame = document.createElement("iframe");
    const reader = new Reader(frame);
    const loaded = reader.#next();
    // Another name of the same machine is another site.
    frame.src = `${protocol}//${hostname === "localhost" ? "127.0.0.1" : "localhost"}:${port}/${READER}`;
    document.body.append(frame);
    await loaded;
    await reader.#ask({ open: name, url });
    return reader;
  }

  /** Resolves when the reader waits for the position. @returns what resolves when it has it */
  async wait(position: number): Promise<() => Promise<Reached>> {
    await this.#ask({ wanted: position });
    const answer = this.#next();
    return async () => {
      const reached = await answer;
      if (typeof reached === "string") throw new Error(`The reader says ${reached}`);
      return reached;
    };
  }

  /** The store ends with its frame. */
  close(): void {
    this.#frame.remove();
  }

  async #ask(what: ToReader): Promise<Told> {
    const answer = this.#next();
    this.#frame.contentWindow?.postMessage(what, "*");
    return answer;
  }

  /** @throws what the reader threw */
  #next(): Promise<Told> {
    return new Promise((resolve, reject) => {
      const take = ({ data, source }: MessageEvent<FromReader>) => {
        if (source !== this.#frame.contentWindow) return;
        globalThis.removeEventListener("message", take);
        if (typeof data === "object" && "error" in data) reject(new Error(data.error));
        else resolve(data);
      };
      globalThis.addEventListener("message", take);
    });
  }
}
