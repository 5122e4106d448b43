/**
 * `WebSocket` of one tab, on top of a connection that the simulated network gives.
 *
 * Faults are the network's, which decides when, and whether, `opened`, `message` and `closed` are called:
 * - The connection never opens, opens late or is refused (`closed` before `opened`).
 * - It breaks: `closed(1006, "")`. Or it stays open and silent.
 * - The far side never answers a `close`: after a minute the socket is closed by itself, as in Chromium.
 * - A frozen tab gets what came meanwhile when it thaws. The tab's event loop does that.
 *
 * Left out: messages that are lost, repeated or out of order within one connection, which TCP rules out. Binary messages, which the
 * product does not send. `bufferedAmount` stays 0.
 */
import type { EventLoop } from "./event-loop.ts";
import { type Fired, Target } from "./event-target.ts";

/** What the far side does. */
export interface FarSide {
  /** The far side has accepted, with one of the protocols, or with "" for none. */
  opened(protocol: string): void;
  message(data: string): void;
  /** 1006 if the connection broke, was refused or could not be made. */
  closed(code: number, reason: string): void;
}

export interface Connection {
  /** Called once with what the far side does. */
  attach(far: FarSide): void;
  send(data: string): void;
  close(code: number, reason: string): void;
}

export type Connect = (url: string, protocols: string[]) => Connection;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** The connection broke, or the tab gave it up. No side sends this code. */
const ABNORMAL = 1006;
/** Code of a close without a code. */
const NO_CODE = 1005;
/** Milliseconds that the far side has to answer a close. */
const CLOSING_TIME = 60_000;
/** Bytes of a reason at most. */
const LONGEST_REASON = 123;
/** What RFC 6455 allows in the name of a protocol. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

interface Message extends Fired {
  readonly data: string;
}

interface Closed extends Fired {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

/** The class for one tab. */
export function webSocketOf(loop: EventLoop, connect: Connect): typeof WebSocket {
  class TabWebSocket extends Socket {
    constructor(url: string | URL, protocols: string | string[] = []) {
      super(loop, connect, addressOf(String(url)), checked(typeof protocols === "string" ? [protocols] : protocols));
    }
  }
  // The events are those that the product reads, without the rest of their fields.
  return TabWebSocket as unknown as typeof WebSocket;
}

class Socket extends Target {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSING = CLOSING;
  static readonly CLOSED = CLOSED;
  readonly CONNECTING = CONNECTING;
  readonly OPEN = OPEN;
  readonly CLOSING = CLOSING;
  readonly CLOSED = CLOSED;
  readonly url: string;
  readonly extensions = "";
  readonly bufferedAmount = 0;
  binaryType: BinaryType = "blob";
  protocol = "";
  readyState = CONNECTING;
  readonly #loop: EventLoop;
  readonly #protocols: readonly string[];
  readonly #connection: Connection;

  constructor(loop: EventLoop, connect: Connect, url: string, protocols: readonly string[]) {
    super(loop);
    this.#loop = loop;
    this.url = url;
    this.#protocols = protocols;
    this.#connection = connect(url, [...protocols]);
    this.#connection.attach({
      opened: (protocol) => loop.post(0, () => this.#opened(protocol)),
      message: (data) => loop.post(0, () => this.#message(data)),
      closed: (code, reason) => loop.post(0, () => this.#closed(code, reason)),
    });
  }

  get onopen(): EventListenerOrEventListenerObject | null {
    return this.handler("open");
  }

  set onopen(listener: unknown) {
    this.setHandler("open", listener);
  }

  get onmessage(): EventListenerOrEventListenerObject | null {
    return this.handler("message");
  }

  set onmessage(listener: unknown) {
    this.setHandler("message", listener);
  }

  get onerror(): EventListenerOrEventListenerObject | null {
    return this.handler("error");
  }

  set onerror(listener: unknown) {
    this.setHandler("error", listener);
  }

  get onclose(): EventListenerOrEventListenerObject | null {
    return this.handler("close");
  }

  set onclose(listener: unknown) {
    this.setHandler("close", listener);
  }

  /** What is sent after the close is dropped, as in a browser. */
  send(data: string): void {
    if (this.readyState === CONNECTING) throw new DOMException("Still in CONNECTING state.", "InvalidStateError");
    if (typeof data !== "string") throw new TypeError("the simulated WebSocket sends text alone");
    if (this.readyState === OPEN) this.#connection.send(data);
  }

  close(code?: number, reason = ""): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`The close code must be either 1000, or between 3000 and 4999. ${code} is neither.`, "InvalidAccessError");
    }
    if (Buffer.byteLength(reason) > LONGEST_REASON) throw new DOMException("The close reason is too long.", "SyntaxError");
    if (this.readyState === CONNECTING) return this.#fail("closed before it was open");
    if (this.readyState !== OPEN) return;
    this.readyState = CLOSING;
    this.#connection.close(code ?? NO_CODE, reason);
    this.#loop.post(CLOSING_TIME, () => this.#closed(ABNORMAL, ""));
  }

  /** Gives the connection up. The tab sees it in a task of its own. */
  #fail(reason: string): void {
    this.readyState = CLOSING;
    this.#connection.close(ABNORMAL, reason);
    this.#loop.post(0, () => this.#closed(ABNORMAL, ""));
  }

  #opened(protocol: string): void {
    if (this.readyState !== CONNECTING) return;
    // A client that offers protocols needs one of them, and no other.
    const isAgreed = this.#protocols.length === 0 ? protocol === "" : this.#protocols.includes(protocol);
    if (!isAgreed) return this.#fail("no protocol in common");
    this.readyState = OPEN;
    this.protocol = protocol;
    this.fire({ type: "open" });
  }

  #message(data: string): void {
    if (this.readyState !== OPEN) return;
    const message: Message = { type: "message", data };
    this.fire(message);
  }

  #closed(code: number, reason: string): void {
    if (this.readyState === CLOSED) return;
    const wasClean = code !== ABNORMAL;
    this.readyState = CLOSED;
    if (!wasClean) this.fire({ type: "error" });
    const closed: Closed = { type: "close", code, reason, wasClean };
    this.fire(closed);
  }
}

/** The address as the socket shows it. `http` counts as `ws`, as browsers have it. */
function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text.replace(/^http/i, "ws")) : undefined;
  if (url === undefined || !/^wss?:$/.test(url.protocol) || url.hash !== "") {
    throw new DOMException(`The URL '${text}' is invalid.`, "SyntaxError");
  }
  return url.href;
}

function checked(protocols: readonly string[]): readonly string[] {
  const wrong = protocols.find((protocol, place) => !TOKEN.test(protocol) || protocols.indexOf(protocol) !== place);
  if (wrong !== undefined) throw new DOMException(`The subprotocol '${wrong}' is invalid or duplicated.`, "SyntaxError");
  return protocols;
}
