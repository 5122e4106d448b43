/**
 * The live connection of a leading tab: a WebSocket on which the edge tells of what is new. It is loaded when it is needed, and whatever
 * becomes of it, the feed is asked for over HTTP besides: here nothing is judged and nothing is lost.
 *
 *     listen ──► connect ──► open ──► pull ──► page ──► told to the machine, which listens again
 *                   ▲          └── closed, or silent after a ping ──┐
 *                   └───────────────── after a while ◄──────────────┘
 */
import { backoff } from "../../shared/backoff.ts";
import type { SyncInput } from "../../shared/device/sync.ts";
import { BEARER_PROTOCOL, FEED_PROTOCOL, PING } from "../../shared/wire/feed-socket.ts";
import { match } from "../../shared/wire/schema.ts";
import { type FeedQuery, feedPage } from "../../shared/wire/wire.ts";
import type { EdgeOptions } from "./edge-call.ts";

/** Who listens. */
export interface Listener {
  give(input: SyncInput): void;
  isConnected: boolean;
}

export interface Listen {
  readonly request: number;
  readonly query: FeedQuery;
}

/** How often the connection is tried, and how long it may stay silent then, in milliseconds. */
const PING_EVERY = 20_000;
const SILENCE = 10_000;
/** Every so many pings the app is asked whether it has a new token. */
const TOKEN_PINGS = 3;
const BACKOFF = { first: 500, longest: 30_000 };

export class FeedSocket {
  readonly #listener: Listener;
  readonly #edge: Omit<EdgeOptions, "signal">;
  readonly #signal: AbortSignal;
  #socket: WebSocket | undefined;
  #failures = 0;
  #reconnect: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #token: string | undefined;
  #isConnecting = false;
  #pings = 0;
  /** What the machine listens for. */
  #wanted: Listen | undefined;
  /** What the edge was asked on this connection and has not answered. */
  #pulled: Listen | undefined;

  constructor(listener: Listener, edge: Omit<EdgeOptions, "signal">, signal: AbortSignal) {
    this.#listener = listener;
    this.#edge = edge;
    this.#signal = signal;
    // Whoever comes back online does not wait.
    globalThis.addEventListener?.("online", () => this.#hurry(), { signal });
    const pinging = setInterval(() => this.#ping(), PING_EVERY);
    signal.addEventListener("abort", () => {
      clearInterval(pinging);
      clearTimeout(this.#reconnect);
      clearTimeout(this.#silence);
      this.#socket?.close();
    });
  }

  listen(wanted: Listen): void {
    this.#wanted = wanted;
    if (this.#listener.isConnected) this.#pull();
    else if (this.#reconnect === undefined) void this.#connect();
  }

  async #connect(): Promise<void> {
    const { url, token, webSocket = (...given) => new WebSocket(...given) } = this.#edge;
    if (this.#isConnecting || this.#signal.aborted) return;
    this.#isConnecting = true;
    clearTimeout(this.#reconnect);
    this.#reconnect = undefined;
    try {
      this.#token = await token?.();
      if (this.#signal.aborted) return;
      const protocols = [FEED_PROTOCOL, ...(this.#token === undefined ? [] : [BEARER_PROTOCOL + this.#token])];
      this.#attach(webSocket(`${url.replace(/\/+$/, "").replace(/^http/, "ws")}/feed`, protocols));
    } catch {
      // An app without a token, or a token that is none: the next request over HTTP says so where it is seen.
      this.#isConnecting = false;
      this.#again();
    }
  }

  #attach(socket: WebSocket): void {
    this.#socket = socket;
    this.#pulled = undefined;
    this.#expect();
    socket.addEventListener("open", () => {
      this.#listener.isConnected = true;
      this.#alive();
      this.#pull();
    });
    socket.addEventListener("message", ({ data }) => {
      this.#alive();
      if (this.#socket === socket) this.#onMessage(String(data));
    });
    socket.addEventListener("close", () => {
      if (this.#socket === socket) this.#drop();
    });
  }

  #onMessage(text: string): void {
    if (!text.startsWith("{")) return;
    const message: object = JSON.parse(text);
    if ("problem" in message) return this.#drop();
    if ("renewed" in message) return;
    const page = match(feedPage, message);
    const answered = this.#pulled;
    this.#pulled = undefined;
    this.#failures = 0;
    if (!page.success || answered === undefined) return this.#drop();
    if (answered !== this.#wanted) return this.#pull();
    this.#wanted = undefined;
    this.#listener.give({ kind: "page-received", request: answered.request, page: page.output });
  }

  /** One pull is open at a time: what has changed meanwhile is asked for when it is answered. */
  #pull(): void {
    if (this.#wanted === undefined || this.#pulled !== undefined || !this.#listener.isConnected) return;
    this.#pulled = this.#wanted;
    this.#socket?.send(JSON.stringify({ pull: this.#pulled.query }));
  }

  #ping(): void {
    if (!this.#listener.isConnected) return;
    this.#socket?.send(PING);
    this.#expect();
    if (++this.#pings % TOKEN_PINGS === 0) void this.#renew();
  }

  /** A token that the app has renewed is told before the old one expires. */
  async #renew(): Promise<void> {
    const socket = this.#socket;
    // An app that has none just now keeps the connection as long as the edge does.
    const token = await Promise.resolve(this.#edge.token?.()).catch(() => this.#token);
    if (token === this.#token || token === undefined || socket !== this.#socket || !this.#listener.isConnected) return;
    this.#token = token;
    socket?.send(JSON.stringify({ auth: { token } }));
  }

  /** A connection that only seems to be open is dropped, and a new one made. */
  #expect(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#drop(), SILENCE);
  }

  #alive(): void {
    clearTimeout(this.#silence);
    this.#isConnecting = false;
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#alive();
    socket?.close();
    const isNews = this.#listener.isConnected;
    this.#listener.isConnected = false;
    this.#again(isNews);
  }

  /**
   * After a while that differs from device to device: all of them may have lost the same edge.
   *
   * @param isNews what the matter is, a request over HTTP finds out
   */
  #again(isNews = false): void {
    if (this.#signal.aborted || this.#reconnect !== undefined) return;
    const again = () => {
      if (isNews) this.#listener.give({ kind: "woken" });
      void this.#connect();
    };
    this.#reconnect = setTimeout(again, backoff(BACKOFF, ++this.#failures, Math.random()));
  }

  #hurry(): void {
    if (this.#reconnect === undefined) return;
    this.#failures = 0;
    void this.#connect();
  }
}
