/** Who a token says that somebody is, without verifying it. */
import { expect, test } from "vitest";
import { claimOf, subjectOf } from "../../../client/sync/identity.ts";
import { signToken } from "../../support/tokens.ts";

const jwt = (payload: string) => `e30.${Buffer.from(payload).toString("base64url")}.c2ln`;

test.each(["ann", "ann@example.com", "Ünal Ø", "漢字", "a".repeat(255)])("the sub %j is read", async (sub) => {
  expect(subjectOf(await signToken({ sub }))).toBe(sub);
});

test.each([
  undefined,
  "",
  "opaque",
  "a.b.c",
  "..",
  jwt("null"),
  jwt("7"),
  jwt("{}"),
  jwt('{"sub":""}'),
  jwt('{"sub":7}'),
  jwt('{"sub":["ann"]}'),
  jwt("{"),
])("%j names nobody", (token) => {
  expect(subjectOf(token)).toBeNull();
});

test.each([
  ["https://Edge.example:443/v1/permits/", "https://edge.example/v1/permits"],
  ["http://edge/v1/../v1/permits//", "http://edge/v1/permits"],
])("the address %s is %s", (url, address) => {
  expect(claimOf({ sync: { url } })).toEqual({ url: address, person: null, movedFrom: null });
});
