import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allowedBy, arrangements, type BothSides, planReconciled } from "../../../shared/edge/reconcile.ts";
import { inside, type Places, without, withPlace } from "../../../shared/places.ts";
import { SEED } from "../../support/seed.ts";

const GOOD: BothSides = { version: 9, head: 9, damaged: [], unreadable: [], differsAt: undefined };
const at = (first: number, last = first): Places => ({ first, last });

describe("what a stream takes", () => {
  test.each<[string, Partial<BothSides>, Places | null, object]>([
    ["nothing where both agree", {}, null, { taken: [], replaced: null, lost: [] }],
    ["what it can't read", { damaged: [at(2, 4)] }, null, { taken: [at(2, 4)], lost: [] }],
    ["what it lacks at its end", { version: 5 }, null, { taken: [at(6, 9)], lost: [] }],
    ["all, if it was deleted", { version: 0 }, null, { taken: [at(1, 9)], lost: [] }],
    ["nothing, if the log has less", { head: 5 }, null, { taken: [], lost: [] }],
    ["what the log can read of it", { damaged: [at(2, 4)], unreadable: [at(3)] }, null, { taken: [at(2), at(4)], lost: [at(3)] }],
    ["what the log never had from a backup alone", { head: 5, damaged: [at(7, 8)] }, null, { taken: [], lost: [at(7, 8)] }],
    ["the rest from a backup", { damaged: [at(2, 4)], unreadable: [at(3, 5)] }, at(4, 9), { taken: [at(2), at(4)], lost: [at(3)] }],
    ["the log's events for its own", { version: 11, differsAt: 6 }, null, { taken: [at(6, 9)], replaced: at(6, 11), lost: [] }],
    [
      "nothing behind where they differ but the log's",
      { damaged: [at(2), at(7)], differsAt: 6 },
      null,
      { taken: [at(2), at(6, 9)], replaced: at(6, 9), lost: [] },
    ],
  ])("is %s", (_, sides, given, plan) => {
    expect(planReconciled({ ...GOOD, ...sides }, given)).toMatchObject(plan);
  });

  test("never is a version that both can read, nor one that nobody has; and together with what is lost it is all that is wanting", () => {
    const places = fc.uniqueArray(fc.integer({ min: 1, max: 12 })).map((all) => {
      let list: readonly Places[] = [];
      for (const place of all.toSorted((a, b) => a - b)) list = withPlace(list, place);
      return list;
    });
    fc.assert(
      fc.property(fc.nat(12), fc.nat(12), places, places, (version, head, wrong, unknown) => {
        const damaged = wrong.flatMap((some) => inside(some, [at(1, version)]));
        const unreadable = unknown.flatMap((some) => inside(some, [at(1, head)]));
        const { taken, lost } = planReconciled({ version, head, damaged, unreadable, differsAt: undefined }, null);
        const has = (list: readonly Places[], place: number) => inside(at(place), list).length > 0;
        for (let place = 1; place <= 12; place++) {
          const isWanting = has(damaged, place) || (place > version && place <= head);
          const isThere = place <= head && !has(unreadable, place);
          expect([place, has(taken, place), has(lost, place)]).toEqual([place, isWanting && isThere, isWanting && !isThere]);
        }
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});

describe("a stream's own events", () => {
  const plan = { taken: [at(2), at(6, 9)], replaced: at(6, 11), lost: [at(4)] };

  test("give way to those of the log if the request names the first of them", () => {
    expect(allowedBy(plan, 6)).toEqual({ taken: plan.taken, cutFrom: 6 });
  });

  test.each([0, 5, 7, 11])("stay if it names another one, and what is before them is taken all the same: %i", (replaceFrom) => {
    expect(allowedBy(plan, replaceFrom)).toEqual({ taken: [at(2)], cutFrom: null });
  });

  test("stay if the log can't be read behind them", () => {
    expect(allowedBy({ ...plan, lost: [at(4), at(8)] }, 6)).toEqual({ taken: [at(2)], cutFrom: null });
  });
});

test("places are cut by others", () => {
  expect(without(at(1, 9), [at(0, 2), at(4), at(8, 12)])).toEqual([at(3), at(5, 7)]);
  expect(without(at(3), [at(1, 9)])).toEqual([]);
  expect(without(at(1, 3), [])).toEqual([at(1, 3)]);
});

describe("the orders that are tried", () => {
  const run = (streamId: string, ...times: number[]) =>
    times.map((time, i) => ({ streamId, version: i + 1, recordedAt: `2026-01-01T00:00:0${time}.000Z` }));
  const names = (order: Iterable<{ streamId: string; version: number }>) =>
    [...order].map(({ streamId, version }) => `${streamId}@${version}`);

  test("begin with that of the times", () => {
    const [first] = arrangements([run("B", 1, 3), run("A", 2)], 3);
    expect(names(first ?? [])).toEqual(["B@1", "A@1", "B@2"]);
  });

  test("have each order of whole runs, and each choice of them", () => {
    const all = [...arrangements([run("A", 1, 1), run("B", 1), run("C", 1, 1)], 3)].map((order) => names(order).join());
    for (const order of ["A@1,A@2,B@1", "B@1,A@1,A@2", "B@1,C@1,C@2", "C@1,C@2,B@1"]) expect(all).toContain(order);
  });

  test("are bounded, and none has fewer events than there are positions", () => {
    const runs = Array.from({ length: 40 }, (_, i) => run(`S-${i}`, 1));
    expect([...arrangements(runs, 6)].length).toBeLessThanOrEqual(2_000);
    expect([...arrangements([run("A", 1)], 2)]).toEqual([]);
  });
});
