/** What the status shows, and when its listeners are called. */
import { expect, test } from "vitest";
import { StatusBoard } from "../../../client/sync/status.ts";
import { UnauthenticatedError, UnavailableError } from "../../../shared/errors.ts";

test.each([
  ["another message", new UnavailableError("The URL leads elsewhere."), true],
  ["another code", new UnauthenticatedError("The edge did not answer."), true],
  ["other details", new UnavailableError("The edge did not answer.", { retryAfter: 3 }), true],
  ["none", null, true],
  ["the same again", new UnavailableError("The edge did not answer."), false],
])("a problem with %s", async (_, problem, isShown) => {
  const board = new StatusBoard("offline");
  const first = new UnavailableError("The edge did not answer.");
  board.update({ problem: first });
  const seen: unknown[] = [];
  board.live.subscribe(() => seen.push(board.current.problem));
  board.update({ problem });
  await Promise.resolve(); // listeners are called in a microtask
  expect(board.current.problem).toBe(isShown ? problem : first);
  expect(seen).toEqual(isShown ? [first, problem] : [first]);
});
