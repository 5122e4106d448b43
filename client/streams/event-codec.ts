/** What happens to events between an app and the store. Without event types: nothing. With them: `event-checks.ts`, which is loaded later. */
import type { NewEvent, RecordedEvent } from "../../shared/event/event.ts";

export interface EventCodec {
  /** An event as the app reads it, in the current version of its type. @throws UpcastError if an upcaster fails */
  readonly read: <E extends RecordedEvent>(event: E) => E;
  /** Completes events that are to be appended. @throws InvalidRequestError for events that the app's event types reject */
  readonly check?: (events: readonly NewEvent[]) => Promise<readonly NewEvent[]>;
}

/** Events as they are. */
export const PLAIN_EVENTS: EventCodec = { read: (event) => event };
