import { expect, test } from "vitest";
import { SEED } from "../support/seed.ts";
import { proveBackup } from "./backup-proof.ts";

const EVENTS = 2_000;
const KILLS = 3;

test("a backup is restored to the byte, whatever is killed on the way, and nobody sees a part of it", { timeout: 300_000 }, async () => {
  const { kills, seen, isSame, verified } = await proveBackup({ events: EVENTS, kills: KILLS, seed: SEED });
  expect(kills.length).toBeGreaterThan(0);
  expect(isSame, kills.join("; ")).toBe(true);
  expect(verified).toContain(`clean: ${EVENTS} events compared with`);
  // The empty store, the closed one, and the whole: in this order, and nothing else.
  expect(["#0", "unavailable", `#${EVENTS}`].filter((state) => seen.includes(state))).toEqual(seen);
  expect(seen.at(-1)).toBe(`#${EVENTS}`);
});
