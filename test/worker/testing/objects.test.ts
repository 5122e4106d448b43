/** The stand-in for Durable Objects keeps what the platform promises: one instance, gates, implicit transactions, at-least-once alarms. */
import { expect, test } from "vitest";
import { errorOf, openTestPlatform, settled } from "./platform.ts";

type State = DurableObjectState;

interface Handle extends Partial<Disposable> {
  readonly add: (by: number) => Promise<number>;
  readonly items: readonly number[];
}

class Counter {
  readonly state: State;
  readonly env: { readonly OBJECTS: { getByName(name: string): Counter } };
  count = 0;

  constructor(state: State, env: Counter["env"]) {
    this.state = state;
    this.env = env;
  }

  increment(): number {
    this.state.storage.kv.put("count", this.stored() + 1);
    return ++this.count;
  }

  stored(): number {
    return this.state.storage.kv.get<number>("count") ?? 0;
  }

  row(text: string): number {
    const { sql } = this.state.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL); CREATE INDEX IF NOT EXISTS t ON rows (text);");
    sql.exec("INSERT INTO rows (text) VALUES (?)", text);
    this.increment();
    return this.rows().length;
  }

  rows(): string[] {
    const { sql } = this.state.storage;
    if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'rows'").toArray().length === 0) return [];
    return [...sql.exec<{ text: string }>("SELECT text FROM rows ORDER BY id")].map(({ text }) => text);
  }

  fail(): never {
    class OwnError extends Error {
      override readonly name = "OwnError";
      readonly field = 1;
    }
    this.increment();
    throw new OwnError("Not this time.");
  }

  partly(nested: boolean): number {
    const { storage } = this.state;
    this.increment();
    try {
      storage.transactionSync(() => {
        this.row("kept");
        if (nested) storage.transactionSync(() => this.row("nested"));
        throw new Error("back");
      });
    } catch {
      // What the transaction wrote is gone.
    }
    return this.stored();
  }

  later(): unknown {
    return this.state.storage.transactionSync(async () => this.increment());
  }

  handle(): Handle {
    return { add: async (by) => by + this.increment(), items: [1, 2] };
  }

  async incrementOf(other: string): Promise<number> {
    this.increment();
    return this.env.OBJECTS.getByName(other).increment();
  }

  never(): Promise<never> {
    this.increment();
    return new Promise(() => undefined);
  }
}

test("an object has one instance, and its storage outlives it", async () => {
  const { objects, stub } = await openTestPlatform(() => Counter);
  expect(await Promise.all([stub("a").increment(), stub("a").increment(), stub("b").increment()])).toEqual([1, 2, 1]);
  expect([objects.names(), objects.isAwake("a")]).toEqual([["a", "b"], true]);
  expect([objects.evict("a"), objects.isAwake("a")]).toEqual([true, false]);
  expect([await stub("a").increment(), await stub("a").stored()]).toEqual([1, 3]);
  objects.delete("a");
  expect([objects.names(), await stub("a").stored()]).toEqual([["b"], 0]);
});

test("what was on its way to an object that is restored or deleted is lost, and what comes later is not", async () => {
  const { clock, faults, objects, stub } = await openTestPlatform(() => Counter);
  faults.callLatency = () => 10;
  const answers: unknown[] = [];
  const call = (name: string) =>
    void stub(name)
      .increment()
      .then(
        (count: number) => answers.push(count),
        (error: { retryable?: boolean }) => answers.push(error.retryable),
      );
  call("a");
  call("b");
  await clock.advance(5);
  objects.delete("a");
  objects.restore("b", objects.copy("c"));
  call("a");
  await clock.advance(30);
  expect(answers).toEqual([true, true, 1]);
});

test("bytes of the SQL database are an ArrayBuffer, whether they were written as one or as a view of one", async () => {
  const { stub } = await openTestPlatform(
    () =>
      class {
        readonly sql: SqlStorage;
        constructor({ storage }: State) {
          this.sql = storage.sql;
        }
        read(): readonly unknown[] {
          this.sql.exec("CREATE TABLE bytes (id INTEGER PRIMARY KEY, value BLOB)");
          const given = new Uint8Array([1, 2, 3, 4]);
          this.sql.exec("INSERT INTO bytes (value) VALUES (?), (?)", given.buffer, given.subarray(1, 3).slice().buffer);
          const query = "SELECT value FROM bytes ORDER BY id";
          const read = [...this.sql.exec<{ value: ArrayBuffer }>(query).toArray(), ...this.sql.exec<{ value: ArrayBuffer }>(query)];
          return read.map(({ value }) => [value instanceof ArrayBuffer, [...new Uint8Array(value)].join()]);
        }
      },
  );
  const [all, part] = [
    [true, "1,2,3,4"],
    [true, "2,3"],
  ];
  expect(await stub("a").read()).toEqual([all, part, all, part]);
});

test("arguments and results are copies, an error keeps its name and message alone, and an unknown method is refused", async () => {
  const given = { list: [1, { deep: new Map([["a", new Uint8Array([1])]]) }], ["__proto__"]: 1 };
  const { stub } = await openTestPlatform(
    () =>
      class {
        readonly seen: unknown[] = [];
        echo(value: unknown): { readonly value: unknown; readonly isSame: boolean } {
          this.seen.push(value);
          return { value, isSame: value === given };
        }
      },
  );
  const answer = await stub("a").echo(given);
  expect(answer).toEqual({ value: given, isSame: false });
  const deepOf = ({ list }: typeof given) => (list[1] as { deep: unknown }).deep;
  expect(deepOf(answer.value as typeof given)).not.toBe(deepOf(given));
  await expect(async () => stub("a").echo(() => 1)).rejects.toThrow("could not be cloned");
  await expect(Reflect.get(stub("a"), "nothing")()).rejects.toThrow('does not implement the method "nothing"');

  const counters = await openTestPlatform(() => Counter);
  expect(await errorOf(counters.stub("a").fail())).toEqual({ message: "Not this time.", name: "OwnError", remote: true });
  expect(await counters.stub("a").stored()).toBe(1);
});

test("a function in a result is a stub, which keeps the instance until it is disposed of", async () => {
  const { objects, stub } = await openTestPlatform(() => Counter);
  const handle = await stub("a").handle();
  expect([handle.items, await handle.add(10), objects.evict("a")]).toEqual([[1, 2], 11, false]);
  handle[Symbol.dispose]?.();
  expect(objects.evict("a")).toBe(true);
  expect(await errorOf(handle.add(1))).toMatchObject({ retryable: true });
});

test("an answer and an outgoing call wait until the writes before them are durable", async () => {
  const { clock, faults, objects, stub } = await openTestPlatform(() => Counter);
  faults.writeLatency = () => 10;
  const answers: unknown[] = [];
  void stub("a")
    .incrementOf("b")
    .then((answer: number) => answers.push(answer));
  await clock.advance(9);
  expect([answers, objects.isAwake("b")]).toEqual([[], false]);
  await clock.advance(1);
  expect([answers, objects.isAwake("b")]).toEqual([[], true]);
  await clock.advance(10);
  expect(answers).toEqual([1]);
});

test("a kill rolls back what is not durable, in both stores, and running calls fail so that they may be retried", async () => {
  const { clock, faults, objects, stub } = await openTestPlatform(() => Counter);
  await stub("a").row("durable");
  faults.writeLatency = () => 10;
  const first = stub("a").row("first");
  await clock.advance(5);
  const second = errorOf(stub("a").row("second"));
  await clock.advance(5);
  expect(await first).toBe(2);
  expect(objects.copy("a").sql.tables[0]?.rows).toHaveLength(2);
  objects.kill("a");
  expect(await second).toEqual({ message: "Network connection lost.", name: "Error", retryable: true });
  expect([await stub("a").rows(), await stub("a").stored()]).toEqual([["durable", "first"], 2]);
});

test("sync() resolves when all that was written before is durable", async () => {
  const synced: string[] = [];
  const { clock, faults, stub } = await openTestPlatform(
    () =>
      class extends Counter {
        async sync(): Promise<void> {
          await this.state.storage.sync();
          synced.push("nothing was written");
          this.increment();
          await this.state.storage.sync();
          synced.push("written");
        }
      },
  );
  faults.writeLatency = () => 10;
  const running = stub("a").sync();
  await clock.advance(9);
  expect(synced).toEqual(["nothing was written"]);
  await clock.advance(1);
  expect(synced).toEqual(["nothing was written", "written"]);
  await running;
});

test("an instance that was killed neither writes nor calls any more", async () => {
  let old: Counter | undefined;
  const { objects, stub } = await openTestPlatform(
    () =>
      class extends Counter {
        constructor(state: State, env: Counter["env"]) {
          super(state, env);
          old ??= this;
        }
      },
  );
  const running = errorOf(stub("a").never());
  await settled();
  objects.kill("a");
  expect(await running).toMatchObject({ retryable: true });
  expect(() => old?.increment()).toThrow("This instance of the object has ended");
  void old?.env.OBJECTS.getByName("b").increment();
  await settled();
  expect(objects.isAwake("b")).toBe(false);
});

test.each([false, true])("transactionSync rolls back what its callback wrote if it throws (nested: %s)", async (nested) => {
  const { stub } = await openTestPlatform(() => Counter);
  expect([await stub("a").partly(nested), await stub("a").rows()]).toEqual([1, []]);
  await expect(stub("a").later()).rejects.toThrow("not async");
  expect([await stub("a").row("x"), await stub("a").stored()]).toEqual([1, 2]);
});

test("a write without room rolls back its implicit transaction, and resets the object", async () => {
  const { faults, objects, stub } = await openTestPlatform(() => Counter);
  await stub("a").row("before");
  let writes = 0;
  faults.isFull = () => ++writes === 2;
  // The insert is the first write, since the table is there; the counter has no room.
  expect(await errorOf(stub("a").row("lost"))).toEqual({ message: "database or disk is full: SQLITE_FULL", name: "Error" });
  expect(objects.isAwake("a")).toBe(false);
  expect([await stub("a").rows(), await stub("a").stored(), await stub("a").row("after")]).toEqual([["before"], 1, 2]);
});

test("calls get lost before or after they ran, and an overloaded object runs none", async () => {
  const { faults, stub } = await openTestPlatform(() => Counter);
  for (const [fate, flags, stored] of [
    ["lost-before", { retryable: true }, 0],
    ["lost-after", { retryable: true }, 1],
    ["overloaded", { overloaded: true }, 1],
  ] as const) {
    faults.call = () => fate;
    expect(await errorOf(stub("a").increment())).toMatchObject(flags);
    faults.call = () => "ok";
    expect(await stub("a").stored()).toBe(stored);
  }
});

test("a stub that has failed does not recover, and an error of the object's own does not break it", async () => {
  const { faults, stub } = await openTestPlatform(() => Counter);
  const kept = stub("a");
  expect(await errorOf(kept.fail())).toMatchObject({ message: "Not this time." });
  expect(await kept.increment()).toBe(2);
  faults.call = () => "lost-before";
  expect(await errorOf(kept.increment())).toMatchObject({ retryable: true });
  faults.call = () => "ok";
  expect(await errorOf(kept.increment())).toMatchObject({ retryable: true });
  expect(await stub("a").stored()).toBe(2);
});

test("blockConcurrencyWhile in the constructor holds calls, and resets the object if it fails", async () => {
  let gate = Promise.withResolvers<void>();
  const { objects, stub } = await openTestPlatform(
    () =>
      class extends Counter {
        constructor(state: State, env: Counter["env"]) {
          super(state, env);
          state.blockConcurrencyWhile(async () => gate.promise);
        }
      },
  );
  const seen: string[] = [];
  const calls = ["first", "second"].map((name) =>
    stub("a")
      .increment()
      .then(() => seen.push(name)),
  );
  await settled();
  expect(seen).toEqual([]);
  gate.resolve();
  await Promise.all(calls);
  expect(seen).toEqual(["first", "second"]);

  objects.kill("a");
  gate = Promise.withResolvers();
  const failing = errorOf(stub("a").increment());
  gate.reject(new Error("no wake"));
  expect(await failing).toMatchObject({ message: "no wake" });
  expect(objects.isAwake("a")).toBe(false);
});

test("new instances get the class of the new version, the others stay", async () => {
  let version = 1;
  const { objects, reset, stub } = await openTestPlatform(() => {
    const made = version;
    return class {
      version(): number {
        return made;
      }
    };
  });
  await stub("a").version();
  version = 2;
  expect([await stub("a").version(), await stub("b").version()]).toEqual([1, 2]);
  reset();
  expect([await stub("a").version(), objects.isAwake("b")]).toEqual([2, false]);
});

test("a disk that fails changes what is stored, and not what the object has in memory; not while it writes", async () => {
  const { clock, faults, objects, stub } = await openTestPlatform(() => Counter);
  await stub("a").row("one");
  const fail = () =>
    objects.damage("a", ({ put, exec }) => {
      put("count", 7);
      exec("UPDATE rows SET text = ?", "0ne");
    });
  faults.writeLatency = () => 10;
  const writing = stub("a").row("two");
  await settled();
  expect(fail()).toBe(false);
  await clock.advance(10);
  await writing;
  expect(fail()).toBe(true);
  expect(objects.isAwake("a")).toBe(true);
  objects.kill("a");
  expect([await stub("a").rows(), await stub("a").stored()]).toEqual([["0ne", "0ne"], 7]);
  expect(objects.damage("nobody", () => undefined)).toBe(false);
});

test("a copy is what was durable, and restoring it is an object of before", async () => {
  const { clock, faults, objects, stub } = await openTestPlatform(() => Counter);
  await stub("a").row("one");
  const copy = objects.copy("a");
  await stub("a").row("two");
  faults.writeLatency = () => 10;
  void stub("a")
    .row("three")
    .catch(() => undefined);
  await settled();
  const all = objects.copyAll();
  await clock.advance(10);
  objects.restore("a", copy);
  expect([await stub("a").rows(), await stub("a").stored()]).toEqual([["one"], 1]);
  await clock.advance(10);
  objects.restoreAll(all);
  expect([await stub("a").rows(), await stub("a").stored()]).toEqual([["one", "two"], 2]);
  objects.restoreAll(new Map());
  expect(objects.names()).toEqual([]);
});
