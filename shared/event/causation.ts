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

/** The same events, caused by what caused the one in whose place they are; what their own metadata says stands. */
export function withCauseOf<E extends { readonly metadata?: EventMetadata | undefined }>(
  events: readonly E[],
  metadata: EventMetadata = {},
): readonly E[] {
  const { causationId, correlationId } = metadata;
  const cause = { ...(causationId !== undefined && { causationId }), ...(correlationId !== undefined && { correlationId }) };
  return events.map((event) => ({ ...event, metadata: { ...cause, ...event.metadata } }));
}

/** An event, and what it led to, in the order in which that is given. */
export interface Caused<E extends Cause> {
  readonly event: E;
  readonly caused: readonly Caused<E>[];
}

/**
 * The events of one correlation as trees. What began it stands at the top, and so does an event whose cause is not among them.
 *
 * @param events in the order in which they happened, as far as that is known
 */
export function causedTrees<E extends Cause>(events: readonly E[]): readonly Caused<E>[] {
  const nodes = new Map(events.map((event) => [event.id, { event, caused: [] as Caused<E>[] }]));
  const tops: Caused<E>[] = [];
  for (const [id, node] of nodes) {
    const { causationId } = node.event.metadata;
    const cause = causationId === undefined || isWithin(nodes, id, causationId) ? undefined : nodes.get(causationId);
    (cause?.caused ?? tops).push(node);
  }
  return tops;
}

/** Whether one event is a cause of its own cause: what somebody wrote into metadata may say so. */
function isWithin(nodes: ReadonlyMap<string, { readonly event: Cause }>, id: string, causationId: string): boolean {
  const seen = new Set<string>();
  for (let at: string | undefined = causationId; at !== undefined && !seen.has(at); at = nodes.get(at)?.event.metadata.causationId) {
    if (at === id) return true;
    seen.add(at);
  }
  return false;
}
