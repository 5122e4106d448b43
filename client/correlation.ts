/** `headwater/correlation`: everything that one event led to. */
import { type Caused, causedTrees, correlationOf } from "../shared/event/causation.ts";
import type { ConfirmedEvent, EventBody } from "../shared/event/event.ts";
import type { ReadAllOptions } from "./event-store.ts";
import type { ExportedCommit } from "./storage/export.ts";

/** A store on a device, at the edge or in memory. */
export interface CorrelationSource {
  readAll(options?: ReadAllOptions & { readonly correlation?: string }): AsyncIterable<ConfirmedEvent>;
  /** A device's: it has events that are not confirmed yet. */
  export?(): AsyncIterable<ExportedCommit>;
}

/** An event of a correlation: confirmed, or, on a device, still pending. */
export type CorrelatedEvent = EventBody & Pick<ConfirmedEvent, "streamId"> & { readonly position: number | null };

export type { Caused };

/**
 * The events that carry a correlation id, and the one whose id it is, as trees: each event with what it caused. Confirmed ones come in position
 * order, then the device's pending ones. A device looks through all that it holds; the edge looks by itself.
 *
 * @param correlationId an event's `metadata.correlationId`, or its id where it has none
 */
export async function readCorrelation(store: CorrelationSource, correlationId: string): Promise<readonly Caused<CorrelatedEvent>[]> {
  const events: CorrelatedEvent[] = [];
  if (store.export === undefined) {
    for await (const event of store.readAll({ correlation: correlationId })) events.push(event);
  } else {
    for await (const item of store.export()) {
      if (item.state === "confirmed") events.push(item);
      else if (item.state === "pending")
        for (const event of item.events) events.push({ ...event, streamId: item.streamId, position: null });
    }
  }
  return causedTrees(events.filter((event) => correlationOf(event) === correlationId));
}
