/** What modelling is given of the device's store, besides what it imports itself. */

import type { DecidedEvent } from "../shared/device/decider.ts";
import type { RecordedEvent } from "../shared/event/event.ts";
import type { Limits } from "../shared/limits.ts";
import type { ConflictRules, Deciders } from "./conflicts/rules.ts";
import type { AppendOptions, AppendResult } from "./event-store.ts";
import type { AppendRequest } from "./storage/appender.ts";
import type { Database } from "./storage/database.ts";
import type { Platform } from "./storage/idb.ts";
import type { EventTypeOptions } from "./streams/event-checks.ts";

export interface StoreCore extends EventTypeOptions {
  /** Of the database. */
  readonly name: string;
  readonly platform: Platform;
  readonly database: Database;
  readonly limits: Limits;
  /** By their names: the ones that the app has named, and the ones that were used. */
  readonly deciders: Deciders;
  readonly rules: ConflictRules;
  /** The store is closed, or a newer version has taken the database over. */
  readonly ending: AbortSignal;
  /** As the store's own, with the command that the events were decided for. */
  readonly append: (
    streamId: string,
    events: readonly DecidedEvent[],
    options: AppendOptions,
    command: AppendRequest["command"],
  ) => Promise<AppendResult>;
  /** Waits until a stream that the device did not follow is here. @throws UnavailableError where it can't be fetched */
  readonly fetched: (streamId: string) => Promise<void>;
  /** Called after each change of what the device holds, by any tab. */
  readonly changes: Set<() => void>;
}

/** The same, and what the model adds to it. */
export interface StoreInternals extends StoreCore {
  /** An event as the app reads it. @throws UpcastError where an upcaster fails */
  readonly read: <E extends RecordedEvent>(event: E) => E;
  /** Calls `listener` after each change. @returns ends it */
  readonly watch: (listener: () => void) => () => void;
}
