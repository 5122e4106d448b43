/**
 * The whole traffic of a world's edge, in an order in which it can be played again: the edge gets one request after the other, and one
 * message of a socket after the other. The next one waits until the one before is answered, and until what it has caused at the edge has
 * happened too. So the order in which the objects took them is the order of the recording.
 *
 *     network ──► turn ──► edge ──► answer, pages on feed sockets, pieces of streams ──► a moment ──► next turn
 */
import { GRANTS_CLAIM } from "../../../shared/edge/token.ts";
import type { ClientSocket, SocketEvents } from "../../../worker/testing/web-socket.ts";
import type { StoreCopy } from "../edge.ts";
import type { EdgeResponse } from "../network.ts";
import { FOR_EVER, sign } from "../token.ts";
import type { World } from "../world.ts";
import { OWN } from "./params.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined for a feed socket, and for a stream of events. */
  readonly text: string | undefined;
}

export interface Exchange {
  readonly kind: "exchange";
  /** Virtual milliseconds. */
  readonly arrivedAt: number;
  /** When the edge got it. */
  readonly at: number;
  answeredAt?: number;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Undefined until it is answered. */
  answer?: Answer;
  /** Of what it has opened: a feed socket, or a stream of events. */
  readonly channel: number;
}

/** What happens on a channel. `up` and `down` are messages of a feed socket; `piece` is text of a stream of events. */
export type ChannelItem = { readonly channel: number; readonly at: number } & (
  | { readonly kind: "up"; readonly data: string }
  | { readonly kind: "down"; readonly data: string }
  | { readonly kind: "closed-by-edge"; readonly code: number; readonly reason: string }
  | { readonly kind: "closed-by-caller"; readonly code: number }
  | { readonly kind: "piece"; readonly text: string }
  | { readonly kind: "end" }
  | { readonly kind: "cancelled" }
);

/** The operator copies a store, or puts a copy into its place; without a copy, nothing. */
export interface OperatorItem {
  readonly kind: "copied" | "replaced";
  readonly at: number;
  readonly store: string;
  readonly copy: number | undefined;
  readonly streamIds: readonly string[];
}

export type Item = Exchange | ChannelItem | OperatorItem;

/** Virtual milliseconds in which everything has happened that an answer or a message has caused at the edge. */
const MOMENT = 60;

export class Recording {
  readonly items: Item[] = [];
  /** The world is over, or the operator acted while the edge was busy, so that nobody can tell what came first. */
  isCut = false;
  /** The place of the first item of the turn that is not over; undefined between turns. */
  #turn: number | undefined;
  readonly #world: World;
  #channels = 0;
  /** The numbers of copies. */
  readonly #copies = new Map<StoreCopy, number>();
  /** By store. */
  readonly #lastCopies = new Map<string, StoreCopy>();
  #waking: Promise<unknown> = Promise.resolve();
  #isBusy = false;
  #last: Promise<unknown> = Promise.resolve();

  /** Records all that the world's edge is asked from now on. */
  constructor(world: World) {
    this.#world = world;
    const { edge } = world;
    const handle = edge.handle.bind(edge);
    edge.handle = (request) => this.#exchange(request, handle);
    const copy = edge.copy.bind(edge);
    edge.copy = (store) => this.#copy(store, copy);
    const replaceStore = edge.replaceStore.bind(edge);
    edge.replaceStore = (store, given) => {
      if (this.#isBusy || (given !== undefined && !this.#copies.has(given))) this.#cut();
      const [at, copy] = [world.scheduler.now, given && this.#copies.get(given)];
      this.#add({ kind: "replaced", at, store, copy, streamIds: edge.disks.streamIds(store) });
      replaceStore(store, given);
      this.#waking = this.#wake();
    };
    const close = edge.close.bind(edge);
    edge.close = () => {
      this.#cut();
      close();
    };
  }

  /** A copy that nobody wrote to meanwhile; while the edge is busy, the one before. */
  #copy(store: string, copy: (store: string) => StoreCopy): StoreCopy {
    const before = this.#lastCopies.get(store);
    if (this.#isBusy) return before ?? copy(store);
    const made = copy(store);
    this.#copies.set(made, this.#copies.size + 1);
    this.#lastCopies.set(store, made);
    const streamIds = [...made.streams.keys()].map((name) => name.slice(store.length + 1));
    this.#add({ kind: "copied", at: made.at, store, copy: this.#copies.size, streamIds });
    return made;
  }

  /** Wakes all streams: one that wakes, and waits for its alarm, publishes by itself, beside what is asked. The real ones are woken too. */
  async #wake(): Promise<void> {
    const { edge, stores } = this.#world;
    const urls = [...stores, OWN].flatMap((store) =>
      edge.disks.streamIds(store).map((streamId) => `http://edge/v1/${store}/streams/${streamId}`),
    );
    const token = sign(JSON.stringify({ sub: "operator", exp: FOR_EVER, [GRANTS_CLAIM]: [{ store: "*", streams: ["*"], can: ["read"] }] }));
    const read = (url: string) => edge.direct(new Request(url, { headers: { authorization: `Bearer ${token}` } }));
    // What a stream does when it wakes is over when it is read once more.
    await Promise.all(urls.map(read));
    await Promise.all(urls.map(read));
  }

  /** Nothing more is recorded, and what is not over is forgotten. */
  #cut(): void {
    if (!this.isCut && this.#turn !== undefined) this.items.splice(this.#turn);
    this.isCut = true;
  }

  #add(item: Item): void {
    if (!this.isCut) this.items.push(item);
  }

  async #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    // Streams may be woken again while one waits for them.
    let waking: unknown;
    do {
      waking = this.#waking;
      await waking;
    } while (waking !== this.#waking);
    this.#isBusy = true;
    this.#turn = this.items.length;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
      this.#world.scheduler.after(MOMENT, () => {
        this.#turn = undefined;
        resolve();
      });
    }
  }

  async #exchange(request: Request, handle: (request: Request) => Promise<EdgeResponse>): Promise<EdgeResponse> {
    const { scheduler } = this.#world;
    const arrivedAt = scheduler.now;
    const { method, url } = request;
    const headers = Object.fromEntries(request.headers);
    const body = method === "GET" || method === "OPTIONS" ? undefined : await request.text();
    return this.#inTurn(async () => {
      const channel = ++this.#channels;
      const exchange: Exchange = { kind: "exchange", arrivedAt, at: scheduler.now, method, url, headers, body, channel };
      // Sockets may get what it has caused before it is answered.
      this.#add(exchange);
      const response = await handle(new Request(url, { method, headers, ...(body !== undefined && { body }) }));
      const answer = { status: response.status, headers: Object.fromEntries(response.headers), text: await textOf(response) };
      Object.assign(exchange, { answer, answeredAt: scheduler.now });
      if (response.webSocket) return this.#upgraded(response, response.webSocket, channel);
      const { status } = answer;
      if (answer.text === undefined) return new Response(this.#tapped(response, channel), { status, headers: answer.headers });
      return new Response(isBodiless(status) ? null : answer.text, { status, headers: answer.headers });
    });
  }

  #upgraded({ headers }: Response, socket: ClientSocket, channel: number): EdgeResponse {
    const note = (item: Pick<ChannelItem, "kind"> & object) =>
      this.#add({ ...item, channel, at: this.#world.scheduler.now } as ChannelItem); // one of them, with what all of them have
    socket.addEventListener("message", ({ data }) => note({ kind: "down", data: String(data) } as ChannelItem));
    socket.addEventListener("close", ({ code, reason }) => note({ kind: "closed-by-edge", code, reason } as ChannelItem));
    const up = (item: object, act: () => void) =>
      void this.#inTurn(() => {
        if (socket.readyState !== 1) return;
        note(item as ChannelItem);
        act();
      });
    const recorded: ClientSocket = {
      get readyState() {
        return socket.readyState;
      },
      accept: () => socket.accept(),
      send: (data) => up({ kind: "up", data: String(data) }, () => socket.send(data)),
      close: (code, reason) => up({ kind: "closed-by-caller", code: code ?? 1005 }, () => socket.close(code, reason)),
      lose: () => up({ kind: "closed-by-caller", code: 1006 }, () => socket.lose()),
      addEventListener: <K extends keyof SocketEvents>(type: K, listener: (event: SocketEvents[K]) => void) =>
        socket.addEventListener(type, listener),
    };
    const response = new Response(null, { headers });
    return Object.defineProperties(response, { status: { value: 101 }, webSocket: { value: recorded } });
  }

  #tapped({ body }: Response, channel: number): ReadableStream {
    const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = body?.getReader();
    const decoder = new TextDecoder();
    const note = (item: object) => this.#add({ ...item, channel, at: this.#world.scheduler.now } as ChannelItem); // see above
    return new ReadableStream(
      {
        pull: async (controller) => {
          const piece = await reader?.read();
          if (piece?.value === undefined) {
            note({ kind: "end" });
            return controller.close();
          }
          note({ kind: "piece", text: decoder.decode(piece.value, { stream: true }) });
          controller.enqueue(piece.value);
        },
        cancel: (reason) => {
          note({ kind: "cancelled" });
          return reader?.cancel(reason);
        },
      },
      { highWaterMark: 0 },
    );
  }
}

function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

async function textOf(response: EdgeResponse): Promise<string | undefined> {
  if (response.webSocket || response.headers.get("content-type")?.startsWith("text/event-stream")) return undefined;
  return response.text();
}
