/**
 * Which event led to which. An event that was caused by another one carries the id of its cause, and the id of the event that began the
 * chain. An event without a cause begins a chain, so its correlation is its own id. That id is not written into its metadata.
 */
import type { EventMetadata, RecordedEvent } from "./event.ts";

/** An event that causes others. */
export type Cause = Pick<RecordedEvent, "id" | "metadata">;

/** The id of the event that began the chain. */
export function correlationOf({ id, metadata }: Cause): string {
  return metadata.correlationId ?? id;
}

/** The metadata of an event that `cause` caused. */
export function causedBy(cause: Cause): EventMetadata {
  return { correlationId: correlationOf(cause), causationId: cause.id };
}

/** The same events, with `cause` as their cause. Fields that their own metadata has already are kept. */
export function withCause<E extends { readonly metadata?: EventMetadata | undefined }>(
  events: readonly E[],
  cause: Cause | undefined,
): readonly E[] {
  return cause === undefined ? events : events.map((event) => ({ ...event, metadata: { ...causedBy(cause), ...event.metadata } }));
}

/**
 * The same events, with the cause of the event that they replace. Fields that their own metadata has already are kept.
 *
 * @param metadata of the event that they replace
 */
export function withCauseOf<E extends { readonly metadata?: EventMetadata | undefined }>(
  events: readonly E[],
  metadata: EventMetadata = {},
): readonly E[] {
  const { causationId, correlationId } = metadata;
  const cause = { ...(causationId !== undefined && { causationId }), ...(correlationId !== undefined && { correlationId }) };
  return events.map((event) => ({ ...event, metadata: { ...cause, ...event.metadata } }));
}

/** An event and the events that it caused, in the order in which they are given. */
export interface Caused<E extends Cause> {
  readonly event: E;
  readonly caused: readonly Caused<E>[];
}

/**
 * The events of one correlation as trees. The event that began it is a root, and so is an event whose cause is not among `events`.
 *
 * @param events in the order in which they happened, if that is known
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

/** Whether an event is a cause of its own cause. Apps write metadata themselves, so it may contain such a circle. */
function isWithin(nodes: ReadonlyMap<string, { readonly event: Cause }>, id: string, causationId: string): boolean {
  const seen = new Set<string>();
  for (let at: string | undefined = causationId; at !== undefined && !seen.has(at); at = nodes.get(at)?.event.metadata.causationId) {
    if (at === id) return true;
    seen.add(at);
  }
  return false;
}
