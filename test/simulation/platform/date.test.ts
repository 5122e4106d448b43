import { expect, test } from "vitest";
import { dateOf, timersOf } from "./date.ts";
import { inTask, TestWorld } from "./test-loop.ts";

/** What comes from outside of a tab, e.g. from a database. */
const RealDate = Date;

test("only the present comes from the clock", () => {
  let now = Date.UTC(2024, 1, 29);
  const Virtual = dateOf(() => now);
  expect(Virtual.now()).toBe(now);
  expect(new Virtual().toISOString()).toBe("2024-02-29T00:00:00.000Z");
  now += 1_000.7;
  expect([Virtual.now(), new Virtual().getTime()]).toEqual([1_709_164_801_000, 1_709_164_801_000]);
  expect(Virtual()).toBe(new RealDate(now).toString());
  const parts = [2020, 5, 7, 8, 9, 10, 11] as const;
  expect(new Virtual(...parts).getTime()).toBe(new RealDate(...parts).getTime());
  expect(new Virtual("2020-01-01T00:00:00Z").getTime()).toBe(Virtual.parse("2020-01-01T00:00:00Z"));
  expect(new Virtual(new RealDate(5)).getTime()).toBe(5);
  expect(new Virtual(Number.NaN).getTime()).toBeNaN();
  expect([Virtual.parse, Virtual.UTC, Virtual.name, Virtual.length]).toEqual([RealDate.parse, RealDate.UTC, "Date", 7]);
});

test("instanceof, subclasses and clones are as with any date", () => {
  const Virtual = dateOf(() => 1_000);
  class Day extends Virtual {
    readonly isDay = true;
  }
  const [date, day, foreign] = [new Virtual(), new Day(), new RealDate()];
  expect([date instanceof Virtual, date instanceof RealDate, foreign instanceof Virtual]).toEqual([true, true, true]);
  expect([day instanceof Day, day instanceof Virtual, date instanceof Day, {} instanceof Virtual]).toEqual([true, true, false, false]);
  expect([day.getTime(), day.isDay, new Day(7).getTime()]).toEqual([1_000, true, 7]);
  expect([date.constructor, Object.prototype.toString.call(date)]).toEqual([Virtual, "[object Date]"]);
  expect(structuredClone(date).getTime()).toBe(1_000);
  expect(JSON.stringify({ date })).toBe('{"date":"1970-01-01T00:00:01.000Z"}');
});

function timers(options?: Parameters<typeof timersOf>[1]) {
  const world = new TestWorld();
  const tab = world.openTab();
  const log: unknown[] = [];
  const write = (text: unknown) => void log.push([tab.now, text]);
  return { world, tab, log, write, ...timersOf(tab, options) };
}

test("timers fire in order of their times, with what they were given, unless they are cleared", () =>
  inTask(() => {
    const { world, log, write, setTimeout, clearTimeout } = timers();
    setTimeout(write, 20, "20");
    setTimeout(write, 10, "10");
    setTimeout(write, 10, "10 as well");
    const cleared = setTimeout(write, 15, "never");
    clearTimeout(cleared);
    clearTimeout(undefined);
    setTimeout(write, -5, "at once");
    setTimeout(write, 2 ** 31, "too long for a browser");
    setTimeout(write, undefined, "now");
    world.run(100);
    expect(log).toEqual([
      [0, "at once"],
      [0, "too long for a browser"],
      [0, "now"],
      [10, "10"],
      [10, "10 as well"],
      [20, "20"],
    ]);
  }));

test("timers that set timers at once let time pass", () =>
  inTask(() => {
    const { world, tab, setTimeout } = timers();
    const times: number[] = [];
    const again = () => {
      times.push(tab.now);
      if (times.length < 8) setTimeout(again);
    };
    setTimeout(again);
    world.run(100);
    expect(times).toEqual([0, 0, 0, 0, 0, 4, 8, 12]);
  }));

test("an interval fires until it is cleared, also if it throws, and once for the time that a tab was frozen", () =>
  inTask(() => {
    const { world, tab, log, write, setInterval, clearInterval } = timers();
    const id = setInterval(() => {
      write("interval");
      if (log.length === 1) throw new RangeError("the first");
    }, 10);
    const own = setInterval(() => clearInterval(own), 10);
    world.run(25);
    expect(world.errors).toEqual([new RangeError("the first")]);
    tab.freeze();
    world.run(1_000);
    tab.thaw();
    world.run(10);
    clearInterval(id);
    world.run(100);
    expect(log).toEqual([10, 20, 1_025, 1_035].map((time) => [time, "interval"]));
  }));

test("a microtask runs after the task and before the next one, and its error is a task's", () =>
  inTask(() => {
    const { world, log, write, setTimeout, queueMicrotask } = timers();
    setTimeout(() => {
      queueMicrotask(() => write("microtask"));
      queueMicrotask(() => {
        throw new RangeError("of a microtask");
      });
      write("task");
    });
    setTimeout(write, 0, "next task");
    world.run();
    expect(log).toEqual([
      [0, "task"],
      [0, "microtask"],
      [0, "next task"],
    ]);
    expect(world.errors).toEqual([new RangeError("of a microtask")]);
  }));

test("idle work runs when the tab is idle, or else after its timeout", () =>
  inTask(() => {
    const waits = [10, 10_000, 20];
    const { world, tab, log, requestIdleCallback, cancelIdleCallback } = timers({ idle: () => waits.shift() ?? 0 });
    const idle = ({ didTimeout, timeRemaining }: IdleDeadline) => void log.push([tab.now, didTimeout, timeRemaining()]);
    requestIdleCallback?.(idle);
    requestIdleCallback?.(idle, { timeout: 5_000 });
    cancelIdleCallback?.(requestIdleCallback?.(idle) ?? 0);
    world.run(20_000);
    expect(log).toEqual([
      [10, false, 50],
      [5_000, true, 0],
    ]);
    expect(timers().requestIdleCallback).toBeUndefined();
  }));

test("performance counts from when the tab was opened", () =>
  inTask(() => {
    const world = new TestWorld();
    world.run(500);
    const { performance } = timersOf(world.openTab());
    world.run(20);
    expect([performance.now(), performance.timeOrigin]).toEqual([20, 500]);
  }));
