/** The text of a value that an app throws, as people read it. */
import { expect, test } from "vitest";
import { messageOf } from "../../shared/thrown.ts";

test("whatever is thrown has a text", () => {
  const thrown = [new Error("no"), "no", Symbol("no"), Object.create(null), undefined];
  expect(thrown.map(messageOf)).toEqual(["no", "no", "Symbol(no)", "a value that can't be shown as text", "undefined"]);
});
