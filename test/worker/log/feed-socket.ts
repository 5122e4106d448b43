/** A reader on a feed socket in tests: it sends requests, and waits for the answers. */
import { SELF } from "cloudflare:test";
import type { FeedPage, ProblemDocument } from "../../../shared/wire/wire.ts";

export type LiveAnswer = FeedPage & { problem: ProblemDocument; renewed: { expiresAt: number | null } };

export class FeedSocket {
  readonly #socket: WebSocket;
  readonly #answers: (LiveAnswer | string)[] = [];
  readonly #waiting: ((answer: LiveAnswer | string) => void)[] = [];
  readonly closed: Promise<number>;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code }) => resolve(code));
    });
    socket.addEventListener("message", ({ data }) => {
      const text = String(data);
      const answer: LiveAnswer | string = text.startsWith("{") ? JSON.parse(text) : text;
      const next = this.#waiting.shift();
      if (next === undefined) this.#answers.push(answer);
      else next(answer);
    });
    socket.accept();
  }

  send(message: object | string): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  pull(after: number, more: object = {}): void {
    this.send({ pull: { after, ...more } });
  }

  /** The next answer. */
  async next(): Promise<LiveAnswer> {
    const answer = await this.text();
    if (typeof answer === "string") throw new Error(`an answer was expected, not ${answer}`);
    return answer;
  }

  text(): Promise<LiveAnswer | string> {
    const answer = this.#answers.shift();
    return answer === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(answer);
  }

  /** What has been answered and not been taken. */
  get unread(): number {
    return this.#answers.length;
  }

  close(): void {
    this.#socket.close(1000);
  }
}

export type Send = (url: string, init: RequestInit) => Promise<Response>;

/** @param path behind the store, with what the socket filters by */
export async function openLive(
  store: string,
  path = "/feed",
  headers: HeadersInit = {},
  send: Send = (url, init) => SELF.fetch(url, init),
) {
  const init = { headers: { upgrade: "websocket", ...Object.fromEntries(new Headers(headers)) } };
  const response = await send(`https://edge.example/v1/${store}${path}`, init);
  const { webSocket } = response;
  if (webSocket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
  return { response, socket: new FeedSocket(webSocket) };
}
