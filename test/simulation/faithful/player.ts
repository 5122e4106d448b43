/**
 * Plays a recording to the real edge, in its order: one request after the other, and one message of a socket after the other. What a
 * channel had carried before the next request must have arrived on the real one too. A message of a socket is followed by a ping, whose
 * pong comes when the message was handled.
 *
 * Tokens are signed anew for what they meant: one that had ended when the world's edge got it has ended long ago, and any other one ends
 * never. Left out: feed sockets whose credentials end while they are open, and channels that were open when the operator restarted all.
 */
import { EPOCH } from "../ground.ts";
import { FOR_EVER, sign, TOLERANCE } from "../token.ts";
import { Comparison } from "./comparison.ts";
import { RealEdge, type RealResponse } from "./real-edge.ts";
import type { ChannelItem, Exchange, Item } from "./recording.ts";
import { SocketChannel } from "./socket-channel.ts";
import { StreamChannel } from "./stream-channel.ts";

export interface Played {
  readonly exchanges: number;
  /** Messages of sockets and pieces of streams. */
  readonly messages: number;
  readonly restarts: number;
  readonly comparison: Comparison;
}

/** Differences after which nothing more is learned. */
const ENOUGH = 20;

export async function play(items: readonly Item[], tooMany: number): Promise<Played> {
  const edge = await RealEdge.start(tooMany);
  const player = new Player(edge);
  try {
    for (const [i, item] of items.entries()) {
      await player.play(item, i);
      if (player.comparison.differences.length >= ENOUGH) break;
    }
    await player.finish();
  } finally {
    await edge.stop();
  }
  return player;
}

class Player implements Played {
  exchanges = 0;
  messages = 0;
  restarts = 0;
  readonly comparison = new Comparison();
  readonly #edge: RealEdge;
  readonly #channels = new Map<number, SocketChannel | StreamChannel>();

  constructor(edge: RealEdge) {
    this.#edge = edge;
  }

  async play(item: Item, place: number): Promise<void> {
    switch (item.kind) {
      case "exchange":
        return this.#exchange(item, place);
      case "copied":
        return this.#edge.copy(item.copy ?? 0, item.store, item.streamIds);
      case "replaced":
        this.restarts++;
        for (const channel of this.#channels.values()) channel.drop();
        this.#channels.clear();
        return this.#edge.replace(item.copy, item.store, item.streamIds);
      default:
        return this.#message(item, place);
    }
  }

  async #exchange({ method, url, headers, body, answer, at, channel }: Exchange, place: number): Promise<void> {
    // The world was over before it was answered.
    if (answer === undefined) return;
    this.exchanges++;
    const translate = (text: string) => this.comparison.translate(renewed(text, at));
    const where = `#${place} ${method} ${url.replace(/^http:\/\/edge/, "")}`;
    const response = await this.#edge.fetch(translate(url), {
      method,
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, translate(value)])),
      ...(body !== undefined && { body: translate(body) }),
    });
    if (response.status !== answer.status)
      this.comparison.differ(`${where} status`, `${answer.status} ${answer.text}`, await told(response));
    else {
      this.comparison.headers(where, answer.headers, Object.fromEntries(response.headers));
      if (answer.text !== undefined) this.comparison.texts(where, answer.text, await response.text());
      else if (response.webSocket) this.#channels.set(channel, new SocketChannel(where, response.webSocket, this.comparison));
      else this.#channels.set(channel, new StreamChannel(where, response, this.comparison));
    }
  }

  async #message(item: ChannelItem, place: number): Promise<void> {
    const channel = this.#channels.get(item.channel);
    if (channel === undefined) return;
    this.messages++;
    await channel.play(item.kind === "up" ? { ...item, data: this.comparison.translate(renewed(item.data, item.at)) } : item, place);
  }

  /** Nobody has said anything that the world did not hear. */
  async finish(): Promise<void> {
    for (const channel of this.#channels.values()) await channel.finish();
  }
}

async function told(response: RealResponse): Promise<string> {
  const { status, headers } = response;
  return `${status} ${headers.get("content-type")?.includes("json") ? await response.text() : ""}`;
}

const TOKEN = /eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]{43}/g;

/** The tokens in a text with the same meaning, as the world's edge had it then. Those that are not signed by `sign` stay. */
function renewed(text: string, at: number): string {
  return text.replaceAll(TOKEN, (token, payload: string) => {
    const claims = Buffer.from(payload, "base64url").toString();
    if (sign(claims) !== token) return token;
    const { exp, ...others } = JSON.parse(claims);
    if (typeof exp !== "number") return token;
    const isOver = EPOCH + at >= exp * 1000 + TOLERANCE;
    return sign(JSON.stringify({ ...others, exp: isOver ? 1 : FOR_EVER }));
  });
}
