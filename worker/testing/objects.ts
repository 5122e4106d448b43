/**
 * The part of Cloudflare's Durable Objects that the edge uses, in one process: namespaces of objects, and stubs that call them. Everything
 * runs on promises and on the clock that it is given, so it can run in virtual time.
 *
 *     stub ──► fate of the call ──► output gate of the caller ──► latency ──► object ──► latency ──► answer
 *
 * Left out: limits of CPU, memory and time, ids that are not names, functions in arguments, and two instances of an object at once. Timers
 * of an instance that has ended go off, but what they run can neither write nor call.
 */
import type { Clock, PlatformFaults } from "./clock.ts";
import { NO_FAULTS } from "./clock.ts";
import { copyOf } from "./copy.ts";
import { lostError, overloadedError } from "./errors.ts";
import { handlerOf, type Instance, type ObjectClass, PlatformObject } from "./object.ts";
import { type OpenDatabase, SqlStatements } from "./sql.ts";
import { ObjectId } from "./state.ts";
import type { RawStorage, StorageCopy } from "./storage.ts";

export interface PlatformOptions {
  /** The names under which the namespaces are bound. */
  readonly bindings: readonly string[];
  /** The class of a new instance of an object. It may change while others run, as in a deployment. */
  readonly classOf: (binding: string, name: string) => ObjectClass;
  /** The rest of the environment. */
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  readonly openDatabase: OpenDatabase;
  /** Default: nothing goes wrong. */
  readonly faults?: PlatformFaults;
  /** Gets an error that no caller gets, such as one of an alarm. */
  readonly onUncaught?: (error: unknown, object: string) => void;
}

export interface Platform {
  /** What a Worker gets as its environment. */
  readonly env: Readonly<Record<string, unknown>>;
  /** A namespace, as an operator has it. @throws Error if there is none of this name */
  objects(binding: string): Namespace;
  /** Whether no call is under way, and nothing runs in any object. */
  readonly isIdle: boolean;
  /** Kills all objects, as a deployment does. Their WebSockets close. */
  reset(): void;
  /** Frees all that is stored. To be called last. */
  close(): void;
}

export function openPlatform(options: PlatformOptions): Platform {
  const emptyDatabase = new SqlStatements(options.openDatabase());
  const namespaces = new Map(options.bindings.map((binding) => [binding, new Namespace(binding, { ...options, emptyDatabase, envFor })]));
  function envFor(caller: Instance | undefined): Record<string, unknown> {
    const bindings = [...namespaces].map(([binding, namespace]) => [binding, namespace.bindingFor(caller)]);
    return { ...options.vars, ...Object.fromEntries(bindings) };
  }
  return {
    env: envFor(undefined),
    objects(binding) {
      const namespace = namespaces.get(binding);
      if (namespace === undefined) throw new Error(`The platform has no binding ${binding}.`);
      return namespace;
    },
    get isIdle() {
      return [...namespaces.values()].every((namespace) => namespace.isAllIdle);
    },
    reset: () => {
      for (const namespace of namespaces.values()) namespace.reset();
    },
    close: () => {
      for (const namespace of namespaces.values()) namespace.close();
      emptyDatabase.close();
    },
  };
}

interface NamespaceOptions extends PlatformOptions {
  readonly emptyDatabase: SqlStatements;
  readonly envFor: (caller: Instance | undefined) => Record<string, unknown>;
}

/** What a Worker or an object has of a namespace. */
export interface Binding {
  getByName(name: string): object;
  idFromName(name: string): ObjectId;
  get(id: ObjectId): object;
}

/** The objects of one class. */
export class Namespace {
  readonly binding: string;
  readonly #options: NamespaceOptions;
  readonly #faults: PlatformFaults;
  readonly #objects = new Map<string, PlatformObject>();
  /** Under way, of callers that have not ended. */
  #calls = 0;

  constructor(binding: string, options: NamespaceOptions) {
    this.binding = binding;
    this.#options = options;
    this.#faults = options.faults ?? NO_FAULTS;
  }

  /** The names of all objects that have an instance, or store something, in order. */
  names(): string[] {
    return [...this.#objects.values()]
      .filter(({ isAwake, storage }) => isAwake || !storage.isEmpty)
      .map(({ name }) => name)
      .sort();
  }

  get isAllIdle(): boolean {
    return this.#calls === 0 && [...this.#objects.values()].every(({ isIdle }) => isIdle);
  }

  isAwake(name: string): boolean {
    return this.#objects.get(name)?.isAwake === true;
  }

  /** Whether nothing runs in it, so that it can be evicted. */
  isIdle(name: string): boolean {
    return this.#objects.get(name)?.isIdle !== false;
  }

  /** How many WebSockets are open at the object. */
  sockets(name: string): number {
    return this.#objects.get(name)?.sockets.size ?? 0;
  }

  /** When its alarm goes off, in milliseconds since 1970; null if none is set. */
  alarm(name: string): number | null {
    return this.#objects.get(name)?.storage.alarm ?? null;
  }

  /** The object loses its memory, if nothing runs in it. @returns whether it did */
  evict(name: string): boolean {
    return this.#objects.get(name)?.evict() === true;
  }

  /** The object loses its memory and what is not durable. Events under way fail, and its WebSockets close. */
  kill(name: string): void {
    this.#objects.get(name)?.kill();
  }

  reset(): void {
    const error = () => Object.assign(lostError("Durable Object reset because its code was updated."), { durableObjectReset: true });
    for (const object of [...this.#objects.values()]) object.kill(error);
  }

  close(): void {
    for (const object of this.#objects.values()) object.close();
    this.#objects.clear();
  }

  /** What the object stores and is durable. */
  copy(name: string): StorageCopy {
    return this.#object(name).copy();
  }

  copyAll(): Map<string, StorageCopy> {
    return new Map(this.names().map((name) => [name, this.copy(name)]));
  }

  /** Kills the object and gives it the copy, as a recovery to a point in time does. */
  restore(name: string, copy: StorageCopy): void {
    this.#object(name).restore(copy);
  }

  /** Objects that the copy lacks become empty. */
  restoreAll(copies: ReadonlyMap<string, StorageCopy>): void {
    for (const name of new Set([...this.names(), ...copies.keys()])) this.#object(name).restore(copies.get(name));
  }

  /** Changes what the object stores behind its back, as a disk does that fails. @returns whether it did: not while it writes */
  damage(name: string, change: (stored: RawStorage) => void): boolean {
    return this.#objects.get(name)?.storage.damage(change) === true;
  }

  /** Kills the object, and deletes all that it stores. */
  delete(name: string): void {
    this.#objects.get(name)?.restore();
  }

  /** @param caller the instance that calls; undefined: a Worker */
  bindingFor(caller: Instance | undefined): Binding {
    const getByName = (name: string) => this.#stub(name, caller);
    return { getByName, idFromName: (name) => new ObjectId(name), get: ({ name }) => getByName(name) };
  }

  #object(name: string): PlatformObject {
    let object = this.#objects.get(name);
    if (object === undefined) {
      const { clock, openDatabase, emptyDatabase, classOf, envFor, onUncaught = () => undefined } = this.#options;
      object = new PlatformObject(name, {
        clock,
        faults: this.#faults,
        openDatabase,
        emptyDatabase,
        classOf: (of) => classOf(this.binding, of),
        envOf: envFor,
        onUncaught: (error, of) => onUncaught(error, `${this.binding} ${of}`),
      });
      this.#objects.set(name, object);
    }
    return object;
  }

  /** After an error of the platform a stub fails at once, each time: whoever calls again needs another one. */
  #stub(name: string, caller: Instance | undefined): object {
    let broken: Error | undefined;
    const call = async (method: string, given: readonly unknown[]) => {
      if (broken !== undefined) throw broken;
      const work = (object: object): unknown => {
        const run = handlerOf(object, method);
        if (run === undefined) throw new TypeError(`The RPC receiver does not implement the method "${method}".`);
        return run.apply(object, [...given]);
      };
      try {
        return await this.#counted(this.#object(name), caller, method === "fetch" ? { work, isRequest: true } : { work });
      } catch (error) {
        if (error instanceof Error && ("retryable" in error || "overloaded" in error)) broken = error;
        throw error;
      }
    };
    return new Proxy(
      { name, id: new ObjectId(name) },
      {
        get: (known, method) => {
          if (typeof method !== "string" || method === "then") return undefined;
          if (method in known) return Reflect.get(known, method);
          if (method === "fetch") return (...given: Parameters<typeof fetch>) => call("fetch", [new Request(...given)]);
          return (...given: unknown[]) => call(method, copyOf(given));
        },
      },
    );
  }

  async #counted(object: PlatformObject, caller: Instance | undefined, call: Call): Promise<unknown> {
    if (hasEnded(caller)) return never();
    this.#calls++;
    let isCounted = true;
    const end = () => {
      if (isCounted) this.#calls--;
      isCounted = false;
    };
    caller?.onEnd.add(end);
    try {
      return await this.#call(object, caller, call);
    } finally {
      caller?.onEnd.delete(end);
      end();
    }
  }

  async #call(object: PlatformObject, caller: Instance | undefined, { work, isRequest = false, from }: Call): Promise<unknown> {
    const faults = this.#faults;
    if (hasEnded(caller)) return never();
    const written = caller?.owner.storage.durable();
    if (written !== undefined) await written;
    const fate = faults.call(this.binding);
    const { storage } = object;
    await this.#wait(faults.callLatency());
    if (hasEnded(caller)) return never();
    try {
      // It was restored or deleted: what was on its way to it is not for what is there now.
      if (object.storage !== storage) throw lostError();
      if (fate === "lost-before") throw lostError();
      if (fate === "overloaded") throw overloadedError();
      if (hasEnded(from)) throw lostError("The object that the function belongs to has gone.");
      const answer = await object.deliver(async (instance, itself) => {
        const result = await work(instance);
        return isRequest ? result : this.#answer(object, itself, caller, result);
      });
      await this.#wait(faults.callLatency());
      if (fate === "lost-after") throw lostError();
      return hasEnded(caller) ? never() : answer;
    } catch (error) {
      if (hasEnded(caller)) return never();
      throw error;
    }
  }

  /** A copy of what a method returned. Its functions become stubs, and keep the instance until it is disposed of. */
  #answer(object: PlatformObject, instance: Instance, caller: Instance | undefined, result: unknown): unknown {
    let held = 0;
    const dispose = () => {
      instance.busy -= held;
      held = 0;
    };
    const stubOf = (run: (...given: never[]) => unknown) => {
      held++;
      instance.busy++;
      const stub = (...given: unknown[]) => {
        const copied = copyOf(given);
        return this.#counted(object, caller, { work: () => run(...(copied as never[])), from: instance });
      };
      return Object.assign(stub, { [Symbol.dispose]: dispose });
    };
    const answer = copyOf(result, { stubOf });
    if (typeof answer === "object" && answer !== null) Object.defineProperty(answer, Symbol.dispose, { value: dispose });
    return answer;
  }

  async #wait(milliseconds: number): Promise<void> {
    if (milliseconds > 0) await new Promise<void>((resolve) => void this.#options.clock.after(milliseconds, resolve));
  }
}

interface Call {
  work(object: object): unknown;
  readonly isRequest?: boolean;
  /** The instance that a function belongs to. */
  readonly from?: Instance;
}

function hasEnded(instance: Instance | undefined): boolean {
  return instance?.isGone === true;
}

/** What an instance that has ended waits for. One for each: a promise holds what waits for it. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}
