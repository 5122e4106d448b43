/** Prints, at the end of a run, which browser engines ran how many tests, and which engines were not there. */
import type { Browser } from "playwright";
import type { Reporter, TestModule } from "vitest/node";
import { missingEngines } from "../../../scripts/engines.mjs";

interface Row {
  readonly version: string;
  tests: number;
  passed: number;
}

export class EngineTable implements Reporter {
  readonly #rows = new Map<string, Row>();

  /** While its browser still runs. */
  onTestModuleEnd({ project, children }: TestModule): void {
    const provider = project.browser?.provider;
    if (provider === undefined) return;
    const row = this.#rows.get(project.name) ?? { version: versionOf(provider), tests: 0, passed: 0 };
    this.#rows.set(project.name, row);
    for (const test of children.allTests()) {
      row.tests++;
      if (test.result().state === "passed") row.passed++;
    }
  }

  onTestRunEnd(): void {
    if (this.#rows.size === 0) return;
    const cells = [...this.#rows].map(([engine, { version, tests, passed }]) => [engine, version, String(tests), String(passed)]);
    const table = [["engine", "version", "tests", "passed"], ...cells];
    const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
    const lines = table.map((row) =>
      row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
    );
    console.log(["", ...lines, ...missingEngines(), ""].join("\n"));
  }
}

/** What a provider of ours says, or Playwright's browser. */
function versionOf(provider: object): string {
  if ("version" in provider && typeof provider.version === "string") return provider.version;
  return "browser" in provider && isBrowser(provider.browser) ? provider.browser.version() : "";
}

function isBrowser(value: unknown): value is Browser {
  return typeof value === "object" && value !== null && "version" in value;
}
