/**
 * The feed socket of a leading tab: a WebSocket on which the edge sends a page as soon as there are new events. Sync
 * also requests the feed over HTTP, so nothing is lost if the socket fails, and errors are judged there, not here.
 *
 *     listen ──► connect ──► open ──► pull ──► page ──► given to the sync machine, which listens again
 *                   ▲          └── closed, or silent after a ping ──┐
 *                   └───────────────── after a wait ◄───────────────┘
 */
import { backoff } from "../../shared/backoff.ts";
import type { SyncInput } from "../../shared/device/sync.ts";
import { type HeadwaterError, UnavailableError } from "../../shared/errors.ts";
import { sameJson } from "../../shared/json.ts";
import { FEED_PROTOCOL, PING, toBearerProtocol } from "../../shared/wire/feed-socket.ts";
import { match } from "../../shared/wire/schema.ts";
import { type FeedQuery, feedPage } from "../../shared/wire/wire.ts";
import type { EdgeOptions } from "./edge-call.ts";

/** The session that uses the feed socket. */
export interface Listener {
  give(input: SyncInput): void;
  isConnected: boolean;
  /** Whether the edge has said that there is nothing to listen to: the socket is opened again when the session listens again. */
  readonly isDiverged: boolean;
  /** The feed socket failed again and again, or, with null, works. */
  onSocket(problem: HeadwaterError | null): void;
}

export interface Listen {
  readonly request: number;
  readonly query: FeedQuery;
}

/** How often the socket is pinged, and how long the answer may take, in milliseconds. `SILENCE` also limits connecting. */
const PING_EVERY = 20_000;
const SILENCE = 10_000;
/** Every third ping, the app's `token` is called, to see whether there is a new token. */
const TOKEN_PINGS = 3;
/** After so many failures in a row the app is told. */
const FAILURES = 3;
/** Waits before the socket connects again, in milliseconds. */
const BACKOFF = { first: 500, longest: 30_000 };

const UNOPENED =
  "The feed socket can't be opened, so news comes by polling. A proxy may not let WebSockets through, or may change their Host or Origin header; or the page's policy does not allow the address.";

export class FeedSocket {
  readonly #listener: Listener;
  readonly #edge: Omit<EdgeOptions, "signal">;
  readonly #signal: AbortSignal;
  #socket: WebSocket | undefined;
  #failures = 0;
  /** The app was told that the socket can't be opened: by this one, or perhaps by that of a session before. */
  #mayBeReported = true;
  #reconnect: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #token: string | undefined;
  #isConnecting = false;
  #pings = 0;
  /** The page that the sync machine waits for. */
  #wanted: Listen | undefined;
  /** The page that was requested on this socket and has not been answered. */
  #pulled: Listen | undefined;

  constructor(listener: Listener, edge: Omit<EdgeOptions, "signal">, signal: AbortSignal) {
    this.#listener = listener;
    this.#edge = edge;
    this.#signal = signal;
    // A device that comes back online connects at once.
    const onOnline = () => {
      this.#failures = 0;
      this.hurry();
    };
    globalThis.addEventListener?.("online", onOnline, { signal });
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
    if (this.#pulled !== undefined && !isSameFilter(this.#pulled, wanted)) this.#dismiss();
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
      const protocols = [FEED_PROTOCOL, ...(this.#token === undefined ? [] : [toBearerProtocol(this.#token)])];
      this.#attach(webSocket(`${url.replace(/^http/i, "ws")}/feed`, protocols));
    } catch (error) {
      // The app has no token just now, or the platform does not open the socket.
      this.#isConnecting = false;
      this.#again(false, error);
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
    if (!text.startsWith("{")) return this.#works();
    const message: object = JSON.parse(text);
    if ("problem" in message) return this.#drop();
    if ("renewed" in message) return;
    const page = match(feedPage, message);
    const answered = this.#pulled;
    this.#pulled = undefined;
    this.#works();
    if (!page.success || answered === undefined) return this.#drop();
    if (answered !== this.#wanted) return this.#pull();
    this.#wanted = undefined;
    this.#listener.give({ kind: "page-received", request: answered.request, page: page.output });
  }

  /** The edge has answered, if only a ping: news may be rare. */
  #works(): void {
    this.#failures = 0;
    if (!this.#mayBeReported) return;
    this.#mayBeReported = false;
    this.#listener.onSocket(null);
  }

  /** One pull is open at a time. If another page is wanted meanwhile, it is requested when this one is answered. */
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

  /** Sends a token that the app has renewed, before the old one expires. */
  async #renew(): Promise<void> {
    const socket = this.#socket;
    // If the app has no token now, the socket stays open as long as the edge allows.
    const token = await Promise.resolve()
      .then(() => this.#edge.token?.())
      .catch(() => this.#token);
    if (token === this.#token || token === undefined || socket !== this.#socket || !this.#listener.isConnected) return;
    this.#token = token;
    socket?.send(JSON.stringify({ auth: { token } }));
  }

  /** Drops the socket, and connects again, if the edge stays silent: the socket may only seem to be open. */
  #expect(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#drop(), SILENCE);
  }

  #alive(): void {
    clearTimeout(this.#silence);
    this.#isConnecting = false;
  }

  #drop(): void {
    const wasConnected = this.#listener.isConnected;
    this.#dismiss();
    this.#again(wasConnected);
  }

  /**
   * Also if another filter is wanted than that of the open pull. Only what passes the old filter would be answered, and a page does not say
   * which of two pulls it answers.
   */
  #dismiss(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#pulled = undefined;
    this.#alive();
    socket?.close();
    this.#listener.isConnected = false;
  }

  /**
   * Connects again after a random wait, so that devices that lost the same edge do not all come back at once. The feed is requested over HTTP
   * too, because the edge itself may be gone.
   *
   * @param wasConnected the socket was open before: the request ends the waits of sync. Otherwise they go on
   * @param cause what the app or the platform threw
   */
  #again(wasConnected = false, cause?: unknown): void {
    if (this.#signal.aborted || this.#reconnect !== undefined) return;
    const again = () => {
      this.#reconnect = undefined;
      this.#listener.give(wasConnected ? { kind: "woken" } : { kind: "timer", timer: "poll" });
      if (!this.#listener.isDiverged) void this.#connect();
    };
    this.#reconnect = setTimeout(again, backoff(BACKOFF, ++this.#failures, Math.random()));
    if (this.#failures < FAILURES) return;
    this.#mayBeReported = true;
    this.#listener.onSocket(new UnavailableError(UNOPENED, {}, { cause }));
  }

  /** Connects at once if it waits: the edge is back, or so it seems. */
  hurry(): void {
    if (this.#reconnect !== undefined) void this.#connect();
  }
}

function isSameFilter(a: Listen, b: Listen): boolean {
  return sameJson([a.query.within], [b.query.within]);
}
