import fc from "fast-check";
import { expect, test } from "vitest";
import { behindLog, decidePublication, divergedError } from "../../../shared/edge/publication.ts";
import { toVersion } from "../../../shared/order.ts";
import { SEED } from "../../support/seed.ts";

const decide = (head: number, firstVersion: number, lastVersion: number) =>
  decidePublication(toVersion(head), { firstVersion: toVersion(firstVersion), lastVersion: toVersion(lastVersion) });

test.each([
  [0, 1, 3, { kind: "take", from: 1 }],
  [5, 6, 8, { kind: "take", from: 6 }],
  [5, 4, 7, { kind: "take", from: 6 }],
  [5, 3, 5, { kind: "duplicate" }],
  [5, 1, 1, { kind: "duplicate" }],
  [5, 7, 9, { kind: "gap", head: 5 }],
  [0, 2, 2, { kind: "gap", head: 0 }],
])("head %i, run %i–%i", (head, first, last, decision) => {
  expect(decide(head, first, last)).toEqual(decision);
});

test.each([
  [{ differsAt: 5 }, 4, 7, { kind: "diverged", version: 5 }],
  [{ differsAt: 4 }, 4, 4, { kind: "diverged", version: 4 }],
  [{ divergedAt: 4 }, 6, 6, { kind: "gap", head: 3 }],
  [{ divergedAt: 4 }, 5, 5, { kind: "gap", head: 3 }],
  [{ divergedAt: 4 }, 4, 7, { kind: "take", from: 6 }],
  [{ divergedAt: 4 }, 2, 5, { kind: "duplicate" }],
  [{ divergedAt: 4, differsAt: 4 }, 4, 7, { kind: "diverged", version: 4 }],
  [{ divergedAt: 4, differsAt: 5 }, 5, 7, { kind: "gap", head: 3 }],
] as const)("head 5, %o, run %i–%i", (comparison, first, last, decision) => {
  const { differsAt, divergedAt } = { differsAt: undefined, divergedAt: undefined, ...comparison };
  const versions = {
    differsAt: differsAt === undefined ? undefined : toVersion(differsAt),
    divergedAt: divergedAt === undefined ? undefined : toVersion(divergedAt),
  };
  const run = { firstVersion: toVersion(first), lastVersion: toVersion(last) };
  expect(decidePublication(toVersion(5), run, versions)).toEqual(decision);
});

test("a stream that has less than the log was put back", () => {
  expect([behindLog(3, 5, 3), behindLog(5, 5, 5), behindLog(6, 5, 6), behindLog(0, 1, 0)]).toEqual([4, undefined, undefined, 1]);
  // What was not compared may be another event.
  expect([behindLog(3, 5, 2), behindLog(5, 5, 2)]).toEqual([3, undefined]);
  expect(divergedError("A-1", 4)).toMatchObject({ code: "stream-diverged", remedy: "repair", details: { streamId: "A-1", version: 4 } });
});

test("whoever publishes, in whatever order, however often: each stream's versions enter once and in order", () => {
  const run = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 10 }), fc.integer({ min: 0, max: 4 }));
  fc.assert(
    fc.property(fc.array(run, { maxLength: 100 }), (runs) => {
      const log: [stream: number, version: number][] = [];
      const headOf = (stream: number) => log.filter(([owner]) => owner === stream).length;
      for (const [stream, first, more] of runs) {
        const head = headOf(stream);
        const decision = decide(head, first, first + more);
        if (decision.kind === "take")
          for (let version = decision.from as number; version <= first + more; version++) log.push([stream, version]);
        else if (decision.kind === "duplicate") expect(first + more).toBeLessThanOrEqual(head);
        else if (decision.kind === "gap") expect(first).toBeGreaterThan(decision.head + 1);
        else expect.unreachable("nothing differs");
      }
      for (const stream of [0, 1, 2, 3]) {
        const versions = log.filter(([owner]) => owner === stream).map(([, version]) => version);
        expect(versions).toEqual(versions.map((_, i) => i + 1));
      }
    }),
    { seed: SEED, numRuns: 1000 },
  );
});
