/** Alarms of the stand-in: one for each object, at least once. */
import { expect, test } from "vitest";
import { openTestPlatform, settled, type TestClock } from "./platform.ts";

type State = DurableObjectState;

/** What the handler does, and when it ran. */
interface Script {
  act(object: { readonly state: State }): unknown;
  readonly ran: [second: number, info: AlarmInvocationInfo | undefined][];
}

async function open(act: Script["act"] = () => undefined) {
  const script: { act: Script["act"]; ran: Script["ran"] } = { act, ran: [] };
  let clock: TestClock | undefined;
  let start = 0;
  const platform = await openTestPlatform(
    () =>
      class {
        readonly state: State;
        constructor(state: State) {
          this.state = state;
        }
        async set(seconds: number): Promise<void> {
          await this.state.storage.setAlarm(start + seconds * 1000);
        }
        async setAndWrite(seconds: number): Promise<void> {
          this.state.storage.kv.put("key", 1);
          await this.set(seconds);
        }
        read = async () => ((await this.state.storage.getAlarm()) ?? Number.NaN) - start;
        async alarm(info?: AlarmInvocationInfo): Promise<void> {
          script.ran.push([((clock?.now() ?? 0) - start) / 1000, info]);
          await script.act(this);
        }
      },
  );
  clock = platform.clock;
  start = clock.now();
  const seconds = () => script.ran.map(([second]) => second);
  return { ...platform, clock, script, seconds };
}

test("an alarm goes off once, at its time, and wakes the object", async () => {
  const seen: unknown[] = [];
  const { clock, objects, seconds, script, stub } = await open(async ({ state }) => seen.push(await state.storage.getAlarm()));
  await stub("a").set(5);
  expect(await stub("a").read()).toBe(5000);
  objects.evict("a");
  await clock.advance(4999);
  expect([seconds(), objects.isAwake("a")]).toEqual([[], false]);
  await clock.advance(60_000);
  expect([seconds(), seen, objects.alarm("a")]).toEqual([[5], [null], null]);
  expect(script.ran[0]?.[1]).toMatchObject({ isRetry: false, retryCount: 0 });
});

test("a later alarm replaces an earlier one, and one in the past goes off at once", async () => {
  const { clock, seconds, stub } = await open();
  await stub("a").set(5);
  await stub("a").set(20);
  await clock.advance(10_000);
  expect(seconds()).toEqual([]);
  await stub("a").set(1);
  await clock.advance(30_000);
  expect(seconds()).toEqual([10]);
});

test("a handler that throws is run again after 2 seconds, 4 and so on, and given up after six retries", async () => {
  const { clock, objects, seconds, script, stub, uncaught } = await open(() => Promise.reject(new Error("no")));
  await stub("a").set(0);
  await clock.advance(1_000_000);
  expect(seconds()).toEqual([0, 2, 6, 14, 30, 62, 126]);
  expect(script.ran.at(-1)?.[1]).toMatchObject({ isRetry: true, retryCount: 6 });
  expect([objects.alarm("a"), uncaught.length, uncaught[0]]).toEqual([null, 7, "OBJECTS a: no"]);
  script.act = () => undefined;
  await stub("a").set(2000);
  await clock.advance(1_000_000);
  expect(seconds().at(-1)).toBe(2000);
  expect(script.ran.at(-1)?.[1]).toMatchObject({ isRetry: false, retryCount: 0 });
});

test("an alarm may be late", async () => {
  const { clock, faults, seconds, stub } = await open();
  faults.alarmLatency = () => 30_000;
  await stub("a").set(5);
  await clock.advance(60_000);
  expect(seconds()).toEqual([35]);
});

test("an alarm that the handler sets itself replaces the retry", async () => {
  const { clock, objects, seconds, script, stub } = await open(async ({ state }) => {
    script.act = () => undefined;
    await state.storage.setAlarm(clock.now() + 60_000);
    throw new Error("no");
  });
  await stub("a").set(0);
  await clock.advance(1_000_000);
  expect([seconds(), objects.alarm("a")]).toEqual([[0, 60], null]);
});

test("a kill in the handler runs it again, and the new instance sees the alarm", async () => {
  const { clock, objects, seconds, script, stub } = await open(() => new Promise(() => undefined));
  await stub("a").set(1);
  await clock.advance(1000);
  expect([seconds(), await stub("a").read()]).toEqual([[1], Number.NaN]);
  objects.kill("a");
  expect(await stub("a").read()).toBe(1000);
  script.act = () => undefined;
  await clock.advance(10_000);
  expect([seconds(), script.ran[1]?.[1]]).toMatchObject([[1, 3], { isRetry: true, retryCount: 1 }]);
  expect(objects.alarm("a")).toBeNull();
});

test("an alarm is set together with the writes of its turn, and lost with them", async () => {
  const { clock, faults, objects, seconds, stub } = await open();
  await stub("a").set(50);
  faults.writeLatency = () => 10;
  const lost = stub("a")
    .setAndWrite(1)
    .catch(() => "lost");
  await settled();
  objects.kill("a");
  expect(await lost).toBe("lost");
  expect(objects.copy("a").values.size).toBe(0);
  await clock.advance(60_000);
  expect(seconds()).toEqual([50]);
});

test("a restored copy has the alarm of its time", async () => {
  const { clock, objects, seconds, stub } = await open();
  await stub("a").set(5);
  const copy = objects.copy("a");
  await clock.advance(10_000);
  objects.restore("a", copy);
  await clock.advance(0);
  expect(seconds()).toEqual([5, 10]);
  await stub("a").set(20);
  objects.delete("a");
  await clock.advance(60_000);
  expect(seconds()).toEqual([5, 10]);
});
