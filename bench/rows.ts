/** Counts rows that are written for a commit. They are counted in workerd, where the objects run: the test of the cost prints them. */
import type { Figures } from "./results.ts";
import { runNode } from "./running.ts";

export async function countRows(): Promise<Figures[]> {
  const { stdout } = await runNode(
    ["node_modules/vitest/vitest.mjs", "run", "--project", "workerd", "test/worker/cost.test.ts", "-t", "writes at most"],
    { NO_COLOR: "1" },
  );
  const rows = [...stdout.matchAll(/rows written: (\d+) events?: (\d+)/g)].map(([, events = "", written = ""]) => [events, written]);
  const columns = ["events of the commit", "rows written by all objects together"];
  return [{ kind: "figures", title: "rows written for a commit", columns, rows }];
}
