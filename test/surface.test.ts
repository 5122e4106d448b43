/** What the package makes public: the list in the repository is the list of today, and no type that it uses is missing from it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { surface } from "../scripts/surface.mjs";

const { text, missing } = surface();

test("each entry exports the types that its exports use", () => {
  expect(missing).toEqual([]);
});

test("docs/surface.txt is the surface of today: `npm run surface` writes it", () => {
  expect(text).toContain("# headwater/edge\n");
  expect(text).toContain("function openStore(options: StoreOptions): Promise<Store>;");
  expect(readFileSync(new URL("../docs/surface.txt", import.meta.url), "utf8")).toBe(text);
});

test("nothing internal is public", () => {
  expect(text).toContain("VersionConflictError: as in headwater\n");
  expect(text).not.toMatch(/StoreParts|StoreInternals|publish\(/);
});
