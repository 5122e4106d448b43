/** What an instance gets as its `ctx`: the part of `DurableObjectState` that the edge uses, by the platform's names. */
import { goneError } from "./errors.ts";
import type { ListOptions } from "./key-value.ts";
import type { Instance } from "./object.ts";
import type { Cursor } from "./sql.ts";
import { type ClientSocket, type ObjectSocket, socketPair } from "./web-socket.ts";

/** Sockets of one object: https://developers.cloudflare.com/durable-objects/api/state/ */
const TAGS = 10;
const TAG_LENGTH = 256;

export interface ObjectState {
  readonly id: ObjectId;
  readonly storage: object;
  waitUntil(work: Promise<unknown>): void;
  blockConcurrencyWhile<T>(work: () => Promise<T>): Promise<T>;
  acceptWebSocket(socket: ObjectSocket, tags?: readonly string[]): void;
  getWebSockets(tag?: string): ObjectSocket[];
  getTags(socket: ObjectSocket): string[];
  setWebSocketAutoResponse(pair?: { readonly request: string; readonly response: string }): void;
  /** Milliseconds since 1970, by the platform's clock. */
  now(): number;
  /** The runtime has a global class for it; see `worker/objects/platform.ts`. */
  webSocketPair(): { 0: ClientSocket; 1: ObjectSocket };
  abort(reason?: string): void;
}

/** An object's id is its name. */
export class ObjectId {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  equals(other: ObjectId): boolean {
    return other.name === this.name;
  }

  toString(): string {
    return this.name;
  }
}

export function stateOf(instance: Instance): ObjectState {
  const { owner } = instance;
  const { sockets } = owner;
  const onUncaught = (error: unknown) => {
    if (!instance.isGone) owner.host.onUncaught(error, owner.name);
  };
  return {
    id: new ObjectId(owner.name),
    storage: storageOf(instance),
    waitUntil(work) {
      instance.busy++;
      Promise.resolve(work)
        .catch(onUncaught)
        .finally(() => instance.busy--);
    },
    blockConcurrencyWhile(work) {
      const blocked = instance.block(work, (error) => owner.reset(instance, () => toError(error)));
      // The events that waited get the error.
      blocked.catch(() => undefined);
      return blocked;
    },
    acceptWebSocket(socket, tags = []) {
      instance.assertAlive();
      if (tags.length > TAGS || tags.some(({ length }) => length > TAG_LENGTH)) {
        throw new Error(`A WebSocket may have ${TAGS} tags of ${TAG_LENGTH} characters each, at most.`);
      }
      sockets.accept(socket.connection, tags);
    },
    getWebSockets(tag) {
      return instance.isGone ? [] : sockets.ends(instance, tag);
    },
    getTags: ({ connection }) => [...connection.tags],
    setWebSocketAutoResponse(pair) {
      instance.assertAlive();
      sockets.autoResponse = pair === undefined ? undefined : { request: pair.request, response: pair.response };
    },
    now: () => owner.host.clock.now(),
    webSocketPair: () => socketPair(sockets, instance),
    abort(reason = "The object was aborted.") {
      owner.reset(instance, () => new Error(reason));
      throw goneError();
    },
  };
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function storageOf(instance: Instance): object {
  const { owner } = instance;
  /** @throws Error if the instance has ended: another one may own the storage now */
  const storage = () => {
    instance.assertAlive();
    return owner.storage;
  };
  const kv = {
    get: (key: string) => storage().get(key),
    put: (key: string, value: unknown) => storage().put(key, value),
    delete: (key: string) => storage().delete(key),
    *list(options?: ListOptions): Generator<[string, unknown]> {
      for (const entry of storage().list(options)) {
        yield entry;
        instance.assertAlive();
      }
    },
  };
  const sql = {
    exec: (query: string, ...values: unknown[]): Cursor => storage().exec(query, values),
  };
  return {
    kv,
    sql,
    transactionSync: <T>(work: () => T): T => storage().transaction(work),
    /** The only storage operation that the object waits for: no event is delivered meanwhile. */
    async getAlarm(): Promise<number | null> {
      instance.assertAlive();
      return instance.block(
        async () => owner.alarm.at,
        () => undefined,
      );
    },
    async setAlarm(at: number | Date): Promise<void> {
      instance.assertAlive();
      owner.alarm.set(Number(at));
    },
    async deleteAlarm(): Promise<void> {
      instance.assertAlive();
      owner.alarm.set(null);
    },
    async deleteAll(): Promise<void> {
      storage().deleteAll();
      owner.alarm.set(null);
    },
    async sync(): Promise<void> {
      await storage().durable();
    },
  };
}
