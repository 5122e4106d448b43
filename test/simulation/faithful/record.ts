/** Runs a world, and records it. */
import type { Product } from "../platform/bundle.ts";
import { type Report, runInTask } from "../run.ts";
import { faithfulParams } from "./params.ts";
import { Prober } from "./prober.ts";
import { Recording } from "./recording.ts";

export async function record(seed: number, product: Product): Promise<{ readonly report: Report; readonly recording: Recording }> {
  let recording: Recording | undefined;
  const report = await runInTask(faithfulParams(seed), product, undefined, (world) => {
    recording = new Recording(world);
    new Prober(world).start();
  });
  if (recording === undefined) throw new Error("there was no world");
  return { report, recording };
}
