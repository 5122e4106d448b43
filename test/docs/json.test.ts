/** The JSON that the pages of the documents show has the form that the code returns. */
import { expect, test } from "vitest";
import { parseGrants } from "../../shared/edge/grants.ts";
import { GRANTS_CLAIM } from "../../shared/edge/token.ts";
import { parseMessage, subscriptionStatus } from "../../shared/wire/wire.ts";
import { blocksOf } from "../support/document.ts";

function jsonOf(path: string): Record<string, unknown> {
  const [block, ...others] = blocksOf(path).filter(({ language }) => language === "json");
  if (block === undefined || others.length > 0) throw new Error(`${path} has no one block of JSON.`);
  return JSON.parse(block.code);
}

test("a token's claims", () => {
  const { [GRANTS_CLAIM]: grants, ...claims } = jsonOf("docs/access.md");
  expect(parseGrants(grants)).toEqual(grants);
  expect(claims).toEqual({ sub: expect.any(String), exp: expect.any(Number) });
});

test("where a subscription stands", () => {
  const shown = jsonOf("docs/subscriptions.md");
  expect(parseMessage(subscriptionStatus, shown)).toEqual(shown);
  expect(Object.keys(shown).sort()).toEqual(Object.keys(subscriptionStatus.entries).sort());
});
