/** What the edge's objects have on their disks, as somebody finds it who looks into them. */
import { isWithin, type Scope } from "../../shared/device/replica.ts";
import type { LogEnd } from "../../shared/edge/subscription.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { Platform } from "../../worker/testing/objects.ts";

export class Disks {
  readonly #platform: Platform;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** All events of a log. */
  readLog(store: string): readonly ConfirmedEvent[] {
    return this.rows(store).flatMap(({ events, last_position, first_version, stream_id: streamId }) => {
      const lines = events.split("\n");
      return lines.map((line, i): ConfirmedEvent => {
        return { streamId, version: first_version + i, position: last_position - lines.length + 1 + i, ...JSON.parse(line) };
      });
    });
  }

  /** What the streams have on their disks, and the log does not. */
  readUnpublished(store: string): readonly EventBody[] {
    const published = new Set(this.readLog(store).map(({ id }) => id));
    const values = this.streamNames(store).flatMap((name) => [...this.#platform.objects("STREAMS").copy(name).values]);
    // Notes and snapshots have other keys.
    const runs = values.flatMap(([key, value]) => (/^\d+$/.test(key) ? [value] : []));
    const lines = (runs as readonly StreamRun[]).flatMap(({ events }) => new TextDecoder().decode(events).split("\n"));
    return lines.map((line): EventBody => JSON.parse(line)).filter(({ id }) => !published.has(id));
  }

  /** The last version of a stream that the log has. */
  headOf(store: string, streamId: string): number {
    return Math.max(0, ...this.rows(store).map(({ stream_id, last_version }) => (stream_id === streamId ? last_version : 0)));
  }

  /** The rows of a log, in order. */
  rows(store: string): readonly RunRow[] {
    const { tables } = this.#platform.objects("LOGS").copy(store).sql;
    return (tables.find(({ name }) => name === "runs")?.rows ?? []) as unknown as readonly RunRow[]; // the columns of the table
  }

  /** The last position of the log, or of its streams within a scope. */
  head(store: string, scope: Scope = null): number {
    const runs = this.rows(store).filter(({ stream_id }) => isWithin(scope, stream_id));
    return Math.max(0, ...runs.map(({ last_position }) => last_position));
  }

  /** The end of a store's log, as it is remembered beside the log. */
  rememberedEnd(store: string): LogEnd | null {
    const logs = this.#platform.objects("LOGS");
    const name = `${store}/streams`;
    return logs.names().includes(name) ? ((logs.copy(name).values.get("end") as LogEnd | undefined) ?? null) : null;
  }

  streamNames(store: string): readonly string[] {
    return this.#platform
      .objects("STREAMS")
      .names()
      .filter((name) => name.startsWith(`${store}/`));
  }

  streamIds(store: string): readonly string[] {
    return this.streamNames(store).map((name) => name.slice(store.length + 1));
  }

  /** Streams that hold more than the log. */
  unsettled(store: string): readonly string[] {
    const heads = new Map<string, number>();
    for (const { stream_id, last_version } of this.rows(store)) heads.set(stream_id, Math.max(heads.get(stream_id) ?? 0, last_version));
    return this.streamNames(store).flatMap((name) => {
      const streamId = name.slice(store.length + 1);
      const version = Number([...this.#platform.objects("STREAMS").copy(name).values.keys()].sort().at(-1) ?? 0);
      const head = heads.get(streamId) ?? 0;
      return version === head ? [] : [`the log has ${streamId} up to @${head} of @${version}`];
    });
  }
}

/** A value in a stream's storage. */
interface StreamRun {
  readonly events: Uint8Array;
}

interface RunRow {
  readonly last_position: number;
  readonly stream_id: string;
  readonly first_version: number;
  readonly events: string;
  readonly last_version: number;
}
