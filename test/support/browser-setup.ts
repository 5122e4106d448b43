/** For all browser tests: one edge, whose address they are given. */
import type { TestProject } from "vitest/node";
import { startEdge } from "./edge.ts";

declare module "vitest" {
  interface ProvidedContext {
    edgeUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const edge = await startEdge();
  project.provide("edgeUrl", edge.url);
  return () => edge.stop();
}
