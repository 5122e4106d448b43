/** What the parts of a store that are loaded later get of it. */

import type { DecidedEvent } from "../shared/decider/decider.ts";
import type { EventBody } from "../shared/event/event.ts";
import type { Limits } from "../shared/limits.ts";
import type { ConflictRules, Deciders } from "./conflicts/rules.ts";
import type { AppendOptions, AppendResult } from "./event-store.ts";
import type { AppendRequest } from "./storage/appender.ts";
import type { Database } from "./storage/database.ts";
import type { Platform } from "./storage/idb.ts";
import type { EventCodec, EventTypeOptions } from "./streams/event-codec.ts";

export interface StoreInternals extends EventTypeOptions, Pick<EventCodec, "read"> {
  /** Of the database. */
  readonly name: string;
  readonly platform: Platform;
  readonly database: Database;
  readonly limits: Limits;
  /** By their names: those that the app passed to `openStore`, and those that it used since. */
  readonly deciders: Deciders;
  readonly rules: ConflictRules;
  /** The store is closed, or a newer version has upgraded its database. */
  readonly ending: AbortSignal;
  /** As the store's own, with the command that the events were decided for. */
  readonly append: (
    streamId: string,
    events: readonly DecidedEvent[],
    options: AppendOptions,
    command: AppendRequest["command"],
  ) => Promise<AppendResult>;
  /** @throws StoreClosedError if the event is of a later version than this tab knows, and the tab stops then */
  readonly assertKnown: (event: Pick<EventBody, "type" | "schemaVersion">) => void;
  /** Waits until a stream that the device did not follow is here. @throws UnavailableError if it can't be fetched */
  readonly fetched: (streamId: string) => Promise<void>;
  /** As `fetched`, without the wait: the device follows the stream from now on. @throws UnavailableError if its events are still to be fetched */
  readonly followed: (streamId: string) => Promise<void>;
  /** Calls `listener` after each change of what the device holds, by any tab. @returns a function that ends it */
  readonly watch: (listener: () => void) => () => void;
}
