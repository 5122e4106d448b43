/** For all browser tests: starts one edge, and provides its address. */
import type { TestProject } from "vitest/node";
import { startEdge } from "./edge.ts";

declare module "vitest" {
  interface ProvidedContext {
    edgeUrl: string;
    /** How many of the lines of a file are taken, from the first: vitest.config.ts. */
    lines: { permits: number; tickets: number; transactions: number };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const edge = await startEdge();
  project.provide("edgeUrl", edge.url);
  return () => edge.stop();
}
