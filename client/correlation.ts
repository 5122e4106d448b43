/** `headwater/correlation`: reads everything that one event led to. */
import { type Caused, causedTrees, correlationOf } from "../shared/event/causation.ts";
import { toReference } from "../shared/event/commit.ts";
import type { ConfirmedEvent, EventBody } from "../shared/event/event.ts";
import type { ReadAllOptions } from "./event-store.ts";
import type { ExportedCommit } from "./storage/export.ts";

/** A store on a device, at the edge, or in memory. */
export interface CorrelationSource {
  readAll(options?: ReadAllOptions & { readonly correlation?: string }): AsyncIterable<ConfirmedEvent>;
  /** Only stores on a device have this method: they also hold events that are not confirmed yet. */
  export?(): AsyncIterable<ExportedCommit>;
}

/** An event of a correlation. `position` is null while the event is pending, which is possible on a device only. */
export type CorrelatedEvent = EventBody & Pick<ConfirmedEvent, "streamId"> & { readonly position: number | null };

export type { Caused };

/**
 * Returns the events that carry a correlation id, and the event whose own id it is, as trees: each event with the events that it caused.
 * Confirmed events come first, in position order, then the device's pending ones. A store on a device reads all events that it holds. For a
 * store at the edge, the edge does the search.
 *
 * @param correlationId an event's `metadata.correlationId`, or its `id` if it has none
 */
export async function readCorrelation(store: CorrelationSource, correlationId: string): Promise<readonly Caused<CorrelatedEvent>[]> {
  const id = toReference(correlationId);
  const events: CorrelatedEvent[] = [];
  if (store.export === undefined) {
    for await (const event of store.readAll({ correlation: id })) events.push(event);
  } else {
    for await (const item of store.export()) {
      if (item.state === "confirmed") events.push(item);
      else if (item.state === "pending")
        for (const event of item.events) events.push({ ...event, streamId: item.streamId, position: null });
    }
  }
  return causedTrees(events.filter((event) => correlationOf(event) === id));
}
