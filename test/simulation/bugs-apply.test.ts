/** Each deliberate bug is still one of the product as it is: its texts are found once, and what they leave is a program. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { describe, expect, test } from "vitest";
import { BUGS } from "./bugs/index.ts";
import { applyPatches } from "./platform/patches.ts";

const ROOT = new URL("../../", import.meta.url);

function sourceOf(file: string): string {
  return readFileSync(fileURLToPath(new URL(file, ROOT)), "utf8");
}

/** The program without types and comments, as it runs. */
function programOf(source: string): string {
  return transformSync(source, { loader: "ts" }).code;
}

test.each(BUGS)("$name", ({ patches }) => {
  expect(patches).not.toEqual([]);
  for (const file of new Set(patches.map((patch) => patch.file))) {
    const source = sourceOf(file);
    expect(programOf(applyPatches(file, source, patches)), file).not.toBe(programOf(source));
  }
});

test("each bug has a name of its own", () => {
  const names = BUGS.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

describe("a patch", () => {
  const patch = { file: "a.ts", find: "one", replace: "two" };

  test("changes its own file", () => {
    expect(applyPatches("a.ts", "// one\n", [patch])).toBe("// two\n");
    expect(applyPatches("b.ts", "// one\n", [patch])).toBe("// one\n");
  });

  test("is applied to what the patches before it have left", () => {
    expect(applyPatches("a.ts", "// one\n", [patch, { ...patch, find: "two", replace: "three" }])).toBe("// three\n");
  });

  test.each(["// other\n", "// one one\n"])("needs its text once: %j", (source) => {
    expect(() => applyPatches("a.ts", source, [patch])).toThrow(/a\.ts has this text \d times/);
  });
});
