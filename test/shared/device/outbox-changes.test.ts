/** Which groups of the outbox were changed by the last writes. */
import { expect, test } from "vitest";
import { changedSince, NO_CHANGES, withChange } from "../../../shared/device/outbox-changes.ts";

test("the groups that the last writes changed are remembered, and more writes or groups have all read", () => {
  let changes = NO_CHANGES;
  for (const keys of [[1, 2], [2], [5]]) changes = withChange(changes, keys);
  expect([3, 2, 0].map((known) => changedSince(changes, known))).toEqual([[], [5], [1, 2, 2, 5]]);
  expect(changedSince(changes, 4), "of another database").toBeUndefined();
  for (let i = 0; i < 8; i++) changes = withChange(changes, [i]);
  expect(changedSince(changes, 3)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(changedSince(changes, 2)).toBeUndefined();
  changes = withChange(
    changes,
    Array.from({ length: 2_000 }, (_, i) => i),
  );
  expect(changedSince(changes, 11)).toBeUndefined();
  expect(changedSince(withChange(changes, [3]), 12)).toEqual([3]);
  expect(changedSince(withChange(changes, [3]), 11)).toBeUndefined();
});
