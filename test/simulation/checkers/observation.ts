/** What is visible from outside: to the apps on the devices, to readers and writers at the edge, and to its operator. */

import type { PendingCommand } from "../../../shared/device/decider.ts";
import type { FoundRow } from "../../../shared/device/projection.ts";
import type { Scope } from "../../../shared/device/replica.ts";
import type { ErrorCode, HeadwaterError } from "../../../shared/errors.ts";
import type { Commit } from "../../../shared/event/commit.ts";
import type { ConfirmedEvent, EventBody, RecordedEvent } from "../../../shared/event/event.ts";
import type { AppendAnswer, FeedPage } from "../../../shared/wire/wire.ts";
import type { Ledger, LedgerVersion } from "../models/ledger.ts";

/** An event as a device's app reads it. */
export interface SeenEvent {
  readonly body: EventBody;
  readonly version: number;
  readonly position: number | null;
  readonly recordedAt: string | null;
  readonly isPending: boolean;
}

/** A commit as `conflicts()` tells it. */
export interface SeenConflict {
  readonly streamId: string;
  readonly events: readonly EventBody[];
  readonly code: ErrorCode;
  readonly command: PendingCommand | undefined;
  readonly reason: string;
}

/** How long a token is good, as who holds it knows. */
export interface HeldToken {
  readonly stores: readonly string[];
  /** Milliseconds of the world. */
  readonly until: number;
}

export type Observation =
  /** A device follows a store, or more or less of it than before. */
  | { readonly kind: "opened"; readonly device: string; readonly store: string; readonly scope: Scope }
  /** What a commit that is asked for was decided for, by the id of its first event. */
  | { readonly kind: "commanded"; readonly device: string; readonly id: string; readonly command: PendingCommand }
  | { readonly kind: "called"; readonly device: string; readonly commit: Commit }
  | {
      readonly kind: "accepted";
      readonly device: string;
      readonly commit: Commit;
      readonly firstVersion: number;
      readonly version: number;
      readonly isDuplicate: boolean;
    }
  | { readonly kind: "refused"; readonly device: string; readonly commit: Commit; readonly code: ErrorCode }
  /** A stream as the device has it, and what `conflicts()` says of it. */
  | {
      readonly kind: "stream";
      readonly device: string;
      readonly streamId: string;
      readonly events: readonly SeenEvent[];
      readonly conflicts: readonly SeenConflict[];
    }
  /** `readAll` of a device, from the beginning. */
  | { readonly kind: "all"; readonly device: string; readonly events: readonly ConfirmedEvent[] }
  /** The app gave a conflict an end; nobody knows whether it came to be until it is `isDone`. */
  | {
      readonly kind: "resolved";
      readonly device: string;
      readonly conflict: SeenConflict;
      readonly how: "rebase" | "discard";
      readonly isDone: boolean;
    }
  /** The app's rule let go of a commit, or put other events into its place: where the device keeps what followed. */
  | { readonly kind: "ruled"; readonly device: string; readonly events: readonly EventBody[]; readonly by: readonly EventBody[] | null }
  /** `sync()` that was called at `since` has resolved. */
  | { readonly kind: "synced"; readonly device: string; readonly since: number }
  | { readonly kind: "crashed"; readonly device: string }
  | { readonly kind: "reset"; readonly device: string }
  | { readonly kind: "token"; readonly device: string; readonly token: HeldToken }
  /** The app's consumer on the device. */
  | { readonly kind: "handled"; readonly device: string; readonly event: ConfirmedEvent }
  | { readonly kind: "checkpoint"; readonly device: string; readonly position: number }
  /** A stream's state as the app reads it, beside the stream. */
  | {
      readonly kind: "state";
      readonly device: string;
      readonly streamId: string;
      readonly app: LedgerVersion;
      readonly state: Ledger;
      readonly version: number;
      readonly events: readonly SeenEvent[];
    }
  /** All rows of a projection that has caught up, beside the events of the device. */
  | {
      readonly kind: "rows";
      readonly device: string;
      /** What the device follows. */
      readonly scope: Scope;
      readonly rows: readonly FoundRow<Ledger>[];
      readonly confirmed: readonly ConfirmedEvent[];
      readonly pending: readonly (EventBody & { readonly streamId: string })[];
    }
  /** An event in a subscription's handler, which takes it or refuses, beside the events of the device. */
  | {
      readonly kind: "handed";
      readonly device: string;
      readonly event: ConfirmedEvent;
      readonly isHandled: boolean;
      /** It was set aside before. */
      readonly isReplay: boolean;
      readonly events: readonly ConfirmedEvent[];
    }
  /** A subscription's status, beside the events of the device. */
  | {
      readonly kind: "subscription";
      readonly device: string;
      readonly position: number;
      readonly deadLetters: readonly string[];
      readonly events: readonly ConfirmedEvent[];
    }
  /** The handler of a store's subscription at the edge is called, beside the log that was read. */
  | {
      readonly kind: "edge-handed";
      readonly store: string;
      readonly handed: readonly ConfirmedEvent[];
      /** It was set aside before. */
      readonly isReplay: boolean;
      readonly events: readonly ConfirmedEvent[];
    }
  /** It has answered; one that was killed never does. */
  | { readonly kind: "edge-answered"; readonly store: string; readonly isHandled: boolean }
  /** The platform runs its alarm, or runs it again since it was ended before. */
  | { readonly kind: "edge-alarm"; readonly store: string; readonly isRetry: boolean }
  /** Whoever looks after it has it go on, or begin behind a position. */
  | { readonly kind: "edge-asked"; readonly store: string; readonly what: "resume" | "reset"; readonly position: number }
  /** Its status, beside the log that it follows, where that was just read. */
  | {
      readonly kind: "edge-subscription";
      readonly store: string;
      readonly position: number;
      readonly isStopped: boolean;
      /** Milliseconds of the world. */
      readonly retryAt: number | null;
      /** Ids. */
      readonly deadLetters: readonly string[];
      readonly onFailure: "dead-letter" | "stop";
      readonly events: readonly ConfirmedEvent[] | undefined;
    }
  /** At the edge, over HTTP. */
  | { readonly kind: "sent"; readonly store: string; readonly commit: Commit }
  | { readonly kind: "receipt"; readonly store: string; readonly commit: Commit; readonly answer: AppendAnswer; readonly sentAt: number }
  | {
      readonly kind: "page";
      readonly store: string;
      readonly after: number;
      readonly page: FeedPage;
      readonly token: HeldToken;
      readonly sentAt: number;
    }
  | {
      readonly kind: "edge-stream";
      readonly store: string;
      readonly streamId: string;
      readonly events: readonly RecordedEvent[];
      readonly token: HeldToken;
      readonly sentAt: number;
    }
  | { readonly kind: "denied"; readonly store: string; readonly error: HeadwaterError; readonly token: HeldToken; readonly sentAt: number }
  /** The operator reads the whole log, and then puts an older copy in its place, or nothing (`copiedAt` is null). */
  | {
      readonly kind: "replaced";
      readonly store: string;
      readonly part: "store" | "log";
      readonly before: readonly ConfirmedEvent[];
      readonly copiedAt: number | null;
      /** The last position of the copy. */
      readonly head: number;
    };
