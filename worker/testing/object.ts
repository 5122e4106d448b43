/**
 * One object: its storage, its alarm, its WebSockets, and its instance, if it has one.
 *
 *     event ──► instance (constructed if there is none) ──► input gate ──► handler ──► output gate ──► answer
 *                   │ evicted: memory is lost               open while nothing blocks       open while all writes are durable
 *                   └ killed: also what is not durable; events under way fail, sockets close
 */
import { Alarm, type AlarmInfo } from "./alarm.ts";
import type { Clock, PlatformFaults } from "./clock.ts";
import { goneError, lostError, remoteError } from "./errors.ts";
import type { OpenDatabase, SqlStatements } from "./sql.ts";
import { stateOf } from "./state.ts";
import { ObjectStorage, type StorageCopy } from "./storage.ts";
import { type ObjectSocket, type SocketHandler, Sockets } from "./web-socket.ts";

/** A class of objects. Its handlers and methods are called by their names. */
export type ObjectClass = new (state: never, env: never) => object;

/** What an object gets of its platform. */
export interface ObjectHost {
  readonly clock: Clock;
  readonly faults: PlatformFaults;
  readonly openDatabase: OpenDatabase;
  readonly emptyDatabase: SqlStatements;
  /** The class of a new instance. */
  classOf(name: string): ObjectClass;
  /** The environment of an instance. */
  envOf(instance: Instance): object;
  /** An error that no caller gets. */
  onUncaught(error: unknown, object: string): void;
}

/** An object's memory: what is lost when it is evicted or killed. */
export class Instance {
  readonly owner: PlatformObject;
  /** Made by the constructor, which may already use the state. */
  object: object = {};
  isGone = false;
  /** Work that keeps it from being evicted. */
  busy = 0;
  /** Called when it is killed. */
  readonly onEnd = new Set<() => void>();
  /** Rejects the events under way. */
  readonly running = new Set<(error: Error) => void>();
  #blocks = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(owner: PlatformObject) {
    this.owner = owner;
  }

  get isIdle(): boolean {
    return this.busy === 0 && this.running.size === 0 && this.#blocks === 0 && this.owner.storage.durable() === undefined;
  }

  /** @throws Error if the instance has ended */
  assertAlive(): void {
    if (this.isGone) throw goneError();
  }

  /** Runs an event, in its order, once nothing blocks the instance. */
  whenOpen(start: () => void): void {
    if (this.#blocks === 0 && this.#waiting.length === 0) start();
    else this.#waiting.push(start);
  }

  /** Events wait until `work` has settled. @param onFailure resets the object, so that no event is run after all */
  async block<T>(work: () => Promise<T>, onFailure: (error: unknown) => void): Promise<T> {
    this.#blocks++;
    try {
      return await work();
    } catch (error) {
      onFailure(error);
      throw error;
    } finally {
      this.#blocks--;
      while (this.#blocks === 0 && !this.isGone) {
        const start = this.#waiting.shift();
        if (start === undefined) break;
        start();
      }
    }
  }
}

export class PlatformObject {
  readonly name: string;
  readonly host: ObjectHost;
  storage: ObjectStorage;
  alarm: Alarm;
  readonly sockets: Sockets;
  #instance: Instance | undefined;

  constructor(name: string, host: ObjectHost) {
    this.name = name;
    this.host = host;
    this.sockets = new Sockets({
      onSocketEvent: (handler, socketOf, ...given) => this.#onSocketEvent(handler, socketOf, given),
      durable: () => this.#gate(),
    });
    [this.storage, this.alarm] = this.#store(undefined);
  }

  #store(copy: StorageCopy | undefined): [ObjectStorage, Alarm] {
    const { clock, faults, openDatabase, emptyDatabase } = this.host;
    const { name } = this;
    const storage: ObjectStorage = new ObjectStorage(
      { name, clock, faults, openDatabase, emptyDatabase, onAlarmSet: () => this.alarm.schedule(), onFull: () => this.#onFull() },
      copy,
    );
    const runAlarm = (info: AlarmInfo) => this.deliver(async (object) => handlerOf(object, "alarm")?.call(object, info));
    const onUncaught = (error: unknown) => this.host.onUncaught(error, this.name);
    return [storage, new Alarm({ clock, faults, storage, runAlarm: async (info) => void (await runAlarm(info)), onUncaught })];
  }

  get isAwake(): boolean {
    return this.#instance !== undefined;
  }

  get isIdle(): boolean {
    return this.#instance?.isIdle !== false;
  }

  /** Runs an event in the object. Rejects with an error as the caller gets it; if the object is killed, with a retryable one. */
  deliver<T>(run: (object: object, instance: Instance) => T | Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const instance = this.#wake();
      instance.running.add(reject);
      const end = (settle: () => void) => {
        if (instance.isGone || !instance.running.delete(reject)) return;
        settle();
      };
      // The answer says what was written, so it waits until that is durable.
      const whenDurable = (settle: () => void) => {
        const durable = instance.isGone ? undefined : this.storage.durable();
        if (durable === undefined) end(settle);
        else void durable.then(() => end(settle));
      };
      instance.whenOpen(() => {
        if (instance.isGone) return;
        const work = async () => run(instance.object, instance);
        work().then(
          (value) => whenDurable(() => resolve(value)),
          (error: unknown) => whenDurable(() => reject(remoteError(error))),
        );
      });
    });
  }

  #wake(): Instance {
    if (this.#instance !== undefined) return this.#instance;
    const instance = new Instance(this);
    this.#instance = instance;
    try {
      instance.object = Reflect.construct(this.host.classOf(this.name), [stateOf(instance), this.host.envOf(instance)]);
    } catch (error) {
      this.kill();
      throw remoteError(error);
    }
    return instance;
  }

  /** The object loses its memory, if nothing runs in it. @returns whether it did */
  evict(): boolean {
    if (this.#instance?.isIdle !== true) return false;
    this.#instance.isGone = true;
    this.#instance = undefined;
    return true;
  }

  /** The object loses its memory and what is not durable, its events under way fail, and its sockets close. */
  kill(error: () => Error = lostError): void {
    const instance = this.#instance;
    if (instance === undefined) return this.sockets.dropAll();
    this.#instance = undefined;
    instance.isGone = true;
    this.storage.lose();
    this.alarm.killed();
    this.sockets.dropAll();
    for (const end of instance.onEnd) end();
    const running = [...instance.running];
    instance.running.clear();
    for (const reject of running) reject(error());
  }

  /** Nothing can be called any more. */
  close(): void {
    this.kill();
    this.alarm.cancel();
    this.storage.close();
  }

  copy(): StorageCopy {
    return this.storage.copy();
  }

  /** Kills the object, and gives it the copy as its storage; without a copy, an empty one. */
  restore(copy?: StorageCopy): void {
    this.kill();
    this.alarm.cancel();
    this.storage.close();
    [this.storage, this.alarm] = this.#store(copy);
    this.alarm.schedule();
  }

  /** A part of the object has failed so that its instance can't go on. */
  reset(instance: Instance, error: () => Error): void {
    if (this.#instance === instance) this.kill(error);
  }

  #onFull(): void {
    const instance = this.#instance;
    // The code that wrote may still catch the error; it never gets to answer.
    queueMicrotask(() => {
      if (instance !== undefined) this.reset(instance, () => new Error("database or disk is full: SQLITE_FULL"));
    });
  }

  #gate(): Promise<void> | undefined {
    const instance = this.#instance;
    const durable = this.storage.durable();
    if (instance === undefined || durable === undefined) return undefined;
    return durable;
  }

  #onSocketEvent(handler: SocketHandler, socketOf: (instance: object) => ObjectSocket, given: readonly unknown[]): void {
    this.deliver(async (object, instance) => handlerOf(object, handler)?.call(object, socketOf(instance), ...given)).catch(
      (error: unknown) => this.host.onUncaught(error, this.name),
    );
  }
}

type Handler = (...given: unknown[]) => unknown;

export function handlerOf(object: object, name: string): Handler | undefined {
  const handler: unknown = Reflect.get(object, name);
  return typeof handler === "function" ? (handler as Handler) : undefined; // what `typeof` says
}
