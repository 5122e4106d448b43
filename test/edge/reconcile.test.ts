import { expect, test } from "vitest";
import { SEED } from "../support/seed.ts";
import { proveReconcile } from "./reconcile-proof.ts";

test("a damaged store is repaired, whatever is killed on the way, and nothing that was acknowledged is lost", {
  timeout: 300_000,
}, async () => {
  const { kills, isSame, acknowledged, found, verified } = await proveReconcile({ events: 500, kills: 2, seed: SEED });
  expect(isSame, kills.join("; ")).toBe(true);
  expect(acknowledged).toBeGreaterThan(0);
  expect(found).toBe(acknowledged);
  expect(verified).toMatch(/^clean: /m);
});
