/**
 * A WebSocket between a client and an object, and the sockets of one object. An object that hibernates loses its end of a socket, and gets
 * a new one when it wakes. The client's end stays the same.
 */
import { copyOf, serializedSize } from "./copy.ts";

export type Message = string | ArrayBuffer;

export interface SocketEvents {
  message: { readonly data: Message };
  close: { readonly code: number; readonly reason: string; readonly wasClean: boolean };
  error: { readonly message: string };
}

/** The end that a response hands out. What arrives before `accept` waits. */
export interface ClientSocket {
  readonly readyState: number;
  accept(): void;
  send(data: Message): void;
  close(code?: number, reason?: string): void;
  addEventListener<K extends keyof SocketEvents>(type: K, listener: (event: SocketEvents[K]) => void): void;
  /** The connection is lost: neither end can send any more, and the object gets a close event with the code 1006. */
  lose(): void;
}

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** Bytes: https://developers.cloudflare.com/durable-objects/api/websockets/ */
const ATTACHMENT_BYTES = 16_384;
/** RFC 6455, section 7.1.5. */
const ABNORMAL = 1006;
const NO_STATUS = 1005;

/** What the sockets of an object need of it. */
export interface SocketsHost {
  /** Calls a handler of the object, which is constructed if it has no instance. */
  onSocketEvent(handler: SocketHandler, socketOf: (instance: object) => ObjectSocket, ...given: unknown[]): void;
  /** Resolves when what the instance wrote is durable. */
  durable(): Promise<void> | undefined;
}

export type SocketHandler = "webSocketMessage" | "webSocketClose" | "webSocketError";

export class Sockets {
  readonly host: SocketsHost;
  #accepted: Connection[] = [];
  autoResponse: { readonly request: string; readonly response: string } | undefined;

  constructor(host: SocketsHost) {
    this.host = host;
  }

  get size(): number {
    return this.#accepted.length;
  }

  accept(connection: Connection, tags: readonly string[]): void {
    connection.tags = [...tags];
    this.#accepted.push(connection);
  }

  /** @param instance the one that asks: each has ends of its own */
  ends(instance: object, tag?: string): ObjectSocket[] {
    const found = tag === undefined ? this.#accepted : this.#accepted.filter(({ tags }) => tags.includes(tag));
    return found.map((connection) => connection.endOf(instance));
  }

  remove(connection: Connection): boolean {
    const at = this.#accepted.indexOf(connection);
    if (at >= 0) this.#accepted.splice(at, 1);
    return at >= 0;
  }

  /** The object was reset: its clients lose their connections. */
  dropAll(): void {
    const dropped = this.#accepted;
    this.#accepted = [];
    this.autoResponse = undefined;
    for (const connection of dropped) connection.drop();
  }
}

/** Makes the two ends of a new WebSocket: `0` is the client's. */
export function socketPair(sockets: Sockets, instance: object): { 0: ClientSocket; 1: ObjectSocket } {
  const connection = new Connection(sockets);
  return { 0: connection.client, 1: connection.endOf(instance) };
}

export class Connection {
  readonly client: ClientEnd;
  tags: readonly string[] = [];
  attachment: unknown = null;
  state = OPEN;
  readonly #sockets: Sockets;
  #end: ObjectSocket | undefined;
  /** What is on its way to the client goes in order. */
  #sent: Promise<unknown> = Promise.resolve();

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
    this.client = new ClientEnd(this);
  }

  get sockets(): Sockets {
    return this.#sockets;
  }

  endOf(instance: object): ObjectSocket {
    if (this.#end?.instance !== instance) this.#end = new ObjectSocket(this, instance);
    return this.#end;
  }

  /** The other end gets a message or a close event once what was written before is durable; never if the instance is killed before. */
  toClient(work: () => void): void {
    const durable = this.#sockets.host.durable();
    this.#sent = this.#sent.then(() => durable).then(work);
  }

  toObject(data: Message): void {
    const { autoResponse, host } = this.#sockets;
    if (typeof data === "string" && data === autoResponse?.request) return this.client.receive("message", { data: autoResponse.response });
    host.onSocketEvent("webSocketMessage", (instance) => this.endOf(instance), data);
  }

  /** The client has closed, or is lost. */
  closeFromClient(code: number, reason: string, wasClean: boolean): void {
    if (this.state === CLOSED) return;
    this.state = CLOSED;
    if (!this.#sockets.remove(this)) return;
    this.#sockets.host.onSocketEvent("webSocketClose", (instance) => this.endOf(instance), code, reason, wasClean);
  }

  closeFromObject(code: number, reason: string): void {
    if (this.state !== OPEN) return;
    this.state = CLOSING;
    const wasAccepted = this.#sockets.remove(this);
    this.toClient(() => {
      this.state = CLOSED;
      this.client.end({ code, reason, wasClean: true });
      if (wasAccepted) this.#sockets.host.onSocketEvent("webSocketClose", (instance) => this.endOf(instance), code, reason, true);
    });
  }

  /** The object's process has gone. */
  drop(): void {
    this.state = CLOSED;
    this.client.end({ code: ABNORMAL, reason: "", wasClean: false });
  }
}

/** The object's end of a WebSocket, with the names of the platform. */
export class ObjectSocket {
  readonly instance: object;
  readonly #connection: Connection;

  constructor(connection: Connection, instance: object) {
    this.#connection = connection;
    this.instance = instance;
  }

  get readyState(): number {
    return this.#connection.state;
  }

  /** @internal */
  get connection(): Connection {
    return this.#connection;
  }

  /** @throws TypeError if the socket is closed */
  send(data: Message): void {
    const connection = this.#connection;
    if (connection.state !== OPEN) throw new TypeError("Can't call WebSocket send() after close().");
    connection.toClient(() => connection.client.receive("message", { data }));
  }

  close(code = NO_STATUS, reason = ""): void {
    this.#connection.closeFromObject(code, reason);
  }

  /** @throws Error if the value is too large */
  serializeAttachment(value: unknown): void {
    const bytes = serializedSize(value);
    if (bytes > ATTACHMENT_BYTES) {
      throw new Error(`A WebSocket 'attachment' cannot be larger than ${ATTACHMENT_BYTES} bytes. 'attachment' was ${bytes} bytes.`);
    }
    this.#connection.attachment = copyOf(value, { plainClasses: true });
  }

  deserializeAttachment(): unknown {
    return copyOf(this.#connection.attachment);
  }
}

type Listeners = { [K in keyof SocketEvents]: ((event: SocketEvents[K]) => void)[] };

class ClientEnd implements ClientSocket {
  readonly #connection: Connection;
  readonly #listeners: Listeners = { message: [], close: [], error: [] };
  /** What has arrived and is to be accepted first. */
  #waiting: (() => void)[] | undefined = [];
  #state = OPEN;
  #isLost = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get readyState(): number {
    return this.#state;
  }

  accept(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const emit of waiting) queueMicrotask(emit);
  }

  send(data: Message): void {
    if (this.#state !== OPEN) return;
    queueMicrotask(() => {
      if (!this.#isLost) this.#connection.toObject(data);
    });
  }

  close(code = NO_STATUS, reason = ""): void {
    if (this.#state !== OPEN) return;
    this.#state = CLOSING;
    queueMicrotask(() => {
      if (this.#isLost) return;
      this.#connection.closeFromClient(code, reason, true);
      this.end({ code, reason, wasClean: true });
    });
  }

  addEventListener<K extends keyof SocketEvents>(type: K, listener: (event: SocketEvents[K]) => void): void {
    this.#listeners[type].push(listener);
  }

  lose(): void {
    if (this.#isLost || this.#state === CLOSED) return;
    this.#isLost = true;
    this.#state = CLOSED;
    this.#connection.closeFromClient(ABNORMAL, "", false);
  }

  end(event: SocketEvents["close"]): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    this.receive("close", event);
  }

  receive<K extends keyof SocketEvents>(type: K, event: SocketEvents[K]): void {
    if (this.#isLost) return;
    const emit = () => {
      for (const listener of this.#isLost ? [] : this.#listeners[type]) listener(event);
    };
    if (this.#waiting === undefined) queueMicrotask(emit);
    else this.#waiting.push(emit);
  }
}
