/** The descriptions of options, the docstrings of their interfaces and docs/options.md say the same. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { optionSets, optionsPage, saidDefault } from "../../scripts/options.mjs";

const sets = await optionSets();
/** Bindings are no variables: nobody writes them as a text. */
const BINDINGS = ["STREAMS", "LOGS", "SUBSCRIPTIONS", "RATE_LIMITER"];

/** A default as a docstring writes it; undefined for one that is no plain value. */
function written(preset: unknown): string | undefined {
  if (typeof preset === "number") return preset.toLocaleString("en-US");
  if (typeof preset === "boolean") return String(preset);
  return typeof preset === "string" && preset !== "" ? preset : undefined;
}

test("docs/options.md is made of the code of today: `npm run options` writes it", async () => {
  expect(readFileSync(new URL("../../docs/options.md", import.meta.url), "utf8")).toBe(await optionsPage());
});

describe.each(sets)("$heading", ({ options, properties }) => {
  test("the description has the options of the interface", () => {
    expect(options.map(({ name }) => name).sort()).toEqual(properties.filter((name) => !BINDINGS.includes(name)).sort());
  });

  test.each(options)("$name has a meaning, and its docstring the default of the description", ({ docs, preset }) => {
    expect(docs).not.toBe("");
    const said = saidDefault(docs)?.replaceAll(/["`]/g, "");
    const meant = written(preset);
    if (meant !== undefined) expect(said?.split(/[, ](?=\D)/)[0]).toBe(meant);
  });
});

test("a docstring's default is found, with the numbers and names that it has", () => {
  expect(saidDefault("Milliseconds. Default: 30,000.")).toBe("30,000");
  expect(saidDefault("How. Default: `stop`, so that nobody waits. More.")).toBe("`stop`, so that nobody waits");
  expect(saidDefault("Whatever there is.")).toBeUndefined();
  expect([written(5000), written(true), written("any"), written([])]).toEqual(["5,000", "true", "any", undefined]);
});
