/**
 * What led to what: an event that another one caused carries its id, and the id of the event that began the chain. An event that nothing
 * caused begins a chain of its own, so its correlation is its id; that is not written into it.
 */
import type { EventMetadata, RecordedEvent } from "./event.ts";

/** An event that leads to others. */
export type Cause = Pick<RecordedEvent, "id" | "metadata">;

export function correlationOf({ id, metadata }: Cause): string {
  return metadata.correlationId ?? id;
}

/** Metadata of an event that another one caused. */
export function causedBy(cause: Cause): EventMetadata {
  return { correlationId: correlationOf(cause), causationId: cause.id };
}

/** The same events, caused by that one; what their own metadata says stands. */
export function withCause<E extends { readonly metadata?: EventMetadata | undefined }>(
  events: readonly E[],
  cause: Cause | undefined,
): readonly E[] {
  return cause === undefined ? events : events.map((event) => ({ ...event, metadata: { ...causedBy(cause), ...event.metadata } }));
}
