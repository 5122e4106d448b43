/** Fills a log in tests. */
import type { PublishedRun } from "../../../worker/log/publication.ts";
import { recordedEvents, toLines } from "../../../worker/objects/run-text.ts";
import type { TestStore } from "../edge-calls.ts";

export interface Step {
  readonly streamId: string;
  readonly size: number;
  readonly type?: string;
  /** Of each event. Default: its version. */
  readonly data?: string;
}

/** Runs of these streams and sizes, each behind the one before of its stream. @param versions of the streams before */
export function runsOf(steps: readonly Step[], versions: Map<string, number> = new Map()): PublishedRun[] {
  return steps.map(({ streamId, size, type = "Happened", data }) => {
    const before = versions.get(streamId) ?? 0;
    const bodies = Array.from({ length: size }, (_, i) => ({
      id: crypto.randomUUID(),
      type,
      schemaVersion: 1,
      data: data ?? before + i + 1,
      metadata: {},
      occurredAt: "2026-01-01T00:00:00Z",
    }));
    versions.set(streamId, before + size);
    const events = toLines(streamId, before + 1, recordedEvents(bodies, "2026-01-01T00:00:00Z", null));
    return { streamId, firstVersion: before + 1, events, streamVersion: before + size };
  });
}

/** Puts them into the log without their streams. */
export async function published(
  store: Pick<TestStore, "log">,
  steps: readonly Step[],
  versions: Map<string, number> = new Map(),
): Promise<void> {
  await store.log().publish(runsOf(steps, versions));
}
