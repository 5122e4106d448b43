import { expect, test } from "vitest";
import { isToken } from "../../../shared/wire/token.ts";

test("a token is a text of printable characters without a space", () => {
  for (const token of ["a", "a.b-c_d~e+f/g==", "ann:1"]) expect(isToken(token)).toBe(true);
  for (const other of [undefined, null, 7, "", "Bearer a", "a\n", "a\tb", "é", {}]) expect(isToken(other)).toBe(false);
});
