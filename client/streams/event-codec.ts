/** What happens to events between an app and the store. Without event types: nothing. With them: `event-checks.ts`, which is loaded later. */
import type { NewEvent, RecordedEvent } from "../../shared/event/event.ts";
import type { EventTypes } from "../../shared/event/event-types.ts";
import { isObject } from "../../shared/json.ts";
import * as option from "../../shared/options.ts";

export interface EventTypeOptions {
  /**
   * The event types that the app knows. Events that it appends are checked, and events that it reads are upcast to the current version.
   * Default: neither.
   */
  readonly eventTypes?: EventTypes | undefined;
  /** Called with each event that is read as it was recorded, because `eventTypes` does not know its type or its schema version. */
  readonly onUnknownEvent?: ((event: RecordedEvent) => void) | undefined;
}

export const EVENT_TYPE_OPTIONS = {
  eventTypes: { what: "what defineEventTypes returned", accepts: (value) => isObject(value) && typeof value["get"] === "function" },
  onUnknownEvent: option.callback,
} satisfies option.OptionsOf<EventTypeOptions>;

export interface EventCodec {
  /** An event as the app reads it, in the current version of its type. @throws UpcastError if an upcaster fails */
  readonly read: <E extends RecordedEvent>(event: E) => E;
  /** Completes events that are to be appended. @throws InvalidRequestError for events that the app's event types reject */
  readonly check?: (events: readonly NewEvent[]) => Promise<readonly NewEvent[]>;
}

/** Events as they are. */
export const PLAIN_EVENTS: EventCodec = { read: (event) => event };
