import { expect, test } from "vitest";
import { advanceProgress, type ProgressFacts, progressOf, type Run } from "../../../shared/device/progress.ts";

/** A device of which these facts become known one after the other. */
class Sending {
  #run: Run | undefined;

  at(seconds: number, commits: number, unsent: number, rest: Partial<ProgressFacts> = {}) {
    const sent = { commits, events: commits * 3 };
    this.#run = advanceProgress(this.#run, { sent, unsent, isOnline: true, now: seconds * 1000, ...rest });
    return progressOf(this.#run);
  }
}

test("a long outbox has a progress, from its first push until all is sent; a short one has none", () => {
  const sending = new Sending();
  expect(sending.at(0, 7, 99)).toBe(null);
  expect(sending.at(0, 7, 1000)).toEqual({ sent: 0, total: 1000, eventsPerSecond: null, secondsLeft: null });
  expect(sending.at(2, 107, 900)).toEqual({ sent: 100, total: 1000, eventsPerSecond: 150, secondsLeft: 18 });
  // What is appended meanwhile is part of it.
  expect(sending.at(3, 107, 950)).toEqual({ sent: 100, total: 1050, eventsPerSecond: 150, secondsLeft: 19 });
  expect(sending.at(4, 1047, 10)).toEqual({ sent: 1040, total: 1050, eventsPerSecond: 780, secondsLeft: 1 });
  expect(sending.at(5, 1057, 0)).toBe(null);
  expect(sending.at(5, 1057, 20)).toBe(null);
});

test("the rate is that of the last ten seconds", () => {
  const sending = new Sending();
  sending.at(0, 0, 100_000);
  for (let second = 1; second <= 60; second++) sending.at(second, second * 10, 100_000 - second * 10);
  expect(sending.at(61, 610, 99_390)).toMatchObject({ eventsPerSecond: 30 });
  for (let second = 62; second <= 80; second++) sending.at(second, 610 + (second - 61) * 1000, 99_390 - (second - 61) * 1000);
  expect(sending.at(81, 20_610, 79_390)).toEqual({ sent: 20_610, total: 100_000, eventsPerSecond: 3000, secondsLeft: 80 });
});

test("it ends while the device is not online, and begins anew", () => {
  const sending = new Sending();
  sending.at(0, 0, 1000);
  sending.at(1, 500, 500);
  expect(sending.at(2, 500, 500, { isOnline: false })).toBe(null);
  expect(sending.at(3, 500, 500)).toEqual({ sent: 0, total: 500, eventsPerSecond: null, secondsLeft: null });
  // The edge seems to have lost some, and they are sent again.
  expect(sending.at(4, 300, 700)).toEqual({ sent: 0, total: 700, eventsPerSecond: null, secondsLeft: null });
});
