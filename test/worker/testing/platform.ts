/** A platform in virtual time, with small classes of the tests' own. */
import { type Clock, NO_FAULTS, type PlatformFaults } from "../../../worker/testing/clock.ts";
import type { ObjectClass } from "../../../worker/testing/object.ts";
import { type Namespace, openPlatform } from "../../../worker/testing/objects.ts";
import { loadSqlite } from "../../../worker/testing/sqlite.ts";

/** A clock that stands still until it is moved. */
export class TestClock implements Clock {
  #now = Date.parse("2026-01-01T00:00:00Z");
  #tasks: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, run: () => void): () => void {
    const task = { at: this.#now + milliseconds, run };
    this.#tasks.push(task);
    return () => {
      this.#tasks = this.#tasks.filter((one) => one !== task);
    };
  }

  /** Runs all tasks up to then, each after everything that the one before caused. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settled();
    for (;;) {
      const [next] = this.#tasks.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#tasks = this.#tasks.filter((one) => one !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settled();
    }
    this.#now = end;
  }
}

/** Every promise that can go on has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

declare function setImmediate(run: () => void): void;

/** What a Worker has of an object: its methods, which answer later. */
export type StubOf<T> = {
  readonly [Method in keyof T]: T[Method] extends (...given: infer Given) => infer Answer
    ? (...given: Method extends "fetch" ? [url: string] : Given) => Promise<Awaited<Answer>>
    : never;
};

export interface TestPlatform<T> {
  readonly clock: TestClock;
  readonly faults: { -readonly [K in keyof PlatformFaults]: PlatformFaults[K] };
  readonly objects: Namespace;
  /** A stub of a Worker. */
  stub(name: string): StubOf<T>;
  readonly uncaught: string[];
  reset(): void;
}

/** @param classOf asked for each new instance */
export async function openTestPlatform<T extends object>(classOf: () => new (state: never, env: never) => T): Promise<TestPlatform<T>> {
  const clock = new TestClock();
  const faults = { ...NO_FAULTS };
  const uncaught: string[] = [];
  const platform = openPlatform({
    bindings: ["OBJECTS"],
    classOf: classOf as () => ObjectClass,
    clock,
    faults,
    openDatabase: await loadSqlite(),
    onUncaught: (error, object) => uncaught.push(`${object}: ${error instanceof Error ? error.message : error}`),
  });
  const objects = platform.objects("OBJECTS");
  const stub = (name: string) => objects.bindingFor(undefined).getByName(name) as StubOf<T>; // an object of the class that was given
  return { clock, faults, objects, stub, uncaught, reset: platform.reset };
}

/** The error of a promise that rejects, with the flags of the platform. */
export async function errorOf(call: Promise<unknown>): Promise<object> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Error) return { ...error, message: error.message, name: error.name };
  }
  throw new Error("The call did not fail.");
}
