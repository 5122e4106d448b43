/** What is visible from outside: to the apps on the devices, to readers and writers at the edge, and to its operator. */

import type { PendingCommand } from "../../../shared/decider/command.ts";
import type { Loss } from "../../../shared/device/loss.ts";
import type { FoundRow } from "../../../shared/device/projection.ts";
import type { Scope } from "../../../shared/device/replica.ts";
import type { LogEnd } from "../../../shared/edge/subscription.ts";
import type { ErrorCode } from "../../../shared/errors.ts";
import type { Commit } from "../../../shared/event/commit.ts";
import type { ConfirmedEvent, EventBody, RecordedEvent } from "../../../shared/event/event.ts";
import type { AppendAnswer, FeedPage } from "../../../shared/wire/wire.ts";
import type { StorageFault } from "../faults.ts";
import type { Ledger, LedgerVersion } from "../models/ledger.ts";
import type { AppVersion } from "../models/stock.ts";
import type { Denied } from "../outside.ts";

/** An event as a device's app reads it. */
export interface SeenEvent {
  readonly body: EventBody;
  readonly version: number;
  readonly position: number | null;
  readonly recordedAt: string | null;
  readonly isPending: boolean;
}

/** A parked commit, as `export()` and `conflicts()` show it. */
export interface SeenConflict {
  readonly streamId: string;
  readonly events: readonly EventBody[];
  readonly reason: string;
  /** What only `conflicts()` shows; undefined if the tab does not know of the conflict yet. */
  readonly shown: { readonly code: ErrorCode; readonly command: PendingCommand | undefined } | undefined;
}

/** How long a token is good, as who holds it knows. */
export interface HeldToken {
  readonly stores: readonly string[];
  /** Milliseconds of the world. */
  readonly until: number;
}

export type Observation =
  /** A tab opens a store. Its device will follow this part of it, unless the store can't be opened. */
  | { readonly kind: "opened"; readonly device: string; readonly store: string; readonly scope: Scope }
  /** The tab has its store: from now on the device follows this part. */
  | { readonly kind: "follows"; readonly device: string; readonly scope: Scope }
  /** The edge of a store decides the commands of its shelf. */
  | { readonly kind: "guarded"; readonly store: string }
  /** A commit that is called for is decided for a command; both are known by this key. */
  | {
      readonly kind: "commanded";
      readonly device: string;
      readonly key: string;
      readonly command: Pick<PendingCommand, "decider" | "data">;
    }
  /** Code of a version of the app is asked to decide a command, which has the form of a version: on a device, or at the edge. */
  | { readonly kind: "decides"; readonly where: string; readonly key: string; readonly version: AppVersion; readonly form: AppVersion }
  /** The command was decided, once more or for the first time, and came to something. */
  | { readonly kind: "decided"; readonly device: string; readonly key: string }
  /** The command was refused by its decider on the device, once more or for the first time. */
  | { readonly kind: "undecided"; readonly device: string; readonly key: string }
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
  /** A stream as the device has it, and its parked commits: undefined if they were not read together. */
  | {
      readonly kind: "stream";
      readonly device: string;
      readonly streamId: string;
      readonly events: readonly SeenEvent[];
      readonly conflicts: readonly SeenConflict[] | undefined;
    }
  /** All confirmed events of a device, from the beginning. */
  | { readonly kind: "all"; readonly device: string; readonly events: readonly ConfirmedEvent[] }
  /** The app gave a conflict an end; nobody knows whether it came to be until it is `isDone`. */
  | {
      readonly kind: "resolved";
      readonly device: string;
      readonly conflict: SeenConflict;
      readonly how: "rebase" | "discard";
      readonly isDone: boolean;
      /** Whether the store lists it still. */
      readonly isListed: boolean;
    }
  /** The app's rule discards a commit, or rebases it, maybe with other events in the place of its own: if the device stores what followed. */
  | {
      readonly kind: "ruled";
      readonly device: string;
      readonly streamId: string;
      readonly events: readonly EventBody[];
      readonly isDiscarded: boolean;
      readonly isReplaced: boolean;
    }
  /** What was read in one way, beside what it must be by another. */
  | {
      readonly kind: "compared";
      readonly where: string;
      readonly what: string;
      readonly isSame: boolean;
      readonly read: unknown;
      readonly expected: unknown;
    }
  /** `sync()` that was called at `since` has resolved. */
  | { readonly kind: "synced"; readonly device: string; readonly since: number; readonly doneAt: number }
  | { readonly kind: "crashed"; readonly device: string }
  | { readonly kind: "reset"; readonly device: string }
  /** A tab of the device is gone, or frozen: what it was about to do is not done. */
  | { readonly kind: "tab-stopped"; readonly device: string }
  /** The browser has deleted all databases of the device. */
  | { readonly kind: "evicted"; readonly device: string }
  /** What a tab shows as lost, when all is quiet. */
  | { readonly kind: "lost"; readonly device: string; readonly tab: string; readonly lost: Loss | null }
  | { readonly kind: "token"; readonly device: string; readonly token: HeldToken }
  /** A subscription without a name, in one tab. */
  | { readonly kind: "handled"; readonly device: string; readonly tab: string; readonly event: ConfirmedEvent }
  /** Something was thrown that nobody caught, or an error without a code reached an app. */
  | { readonly kind: "uncaught"; readonly where: string; readonly error: unknown }
  /** What a tab shows when all is quiet, beside what its store exports. */
  | {
      readonly kind: "status";
      readonly tab: string;
      readonly shown: { readonly pending: number; readonly conflicts: number; readonly listed: number; readonly connection: string };
      readonly held: { readonly pending: number; readonly conflicts: number };
    }
  /** Something that an app in a tab has called for, and that has not ended, when all is quiet. */
  | { readonly kind: "call-open"; readonly tab: string; readonly since: number | undefined }
  /** What a live value of a stream shows when all is quiet, beside the stream. */
  | {
      readonly kind: "live";
      readonly tab: string;
      readonly streamId: string;
      readonly state: Ledger;
      readonly version: number;
      readonly events: readonly SeenEvent[];
    }
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
      readonly rows: readonly FoundRow<Ledger>[];
      readonly confirmed: readonly ConfirmedEvent[];
      readonly pending: readonly (EventBody & { readonly streamId: string })[];
    }
  /** An event in the handler of a named subscription of a device, which handles it or fails. */
  | { readonly kind: "handed"; readonly device: string; readonly event: ConfirmedEvent; readonly isHandled: boolean }
  /** A named subscription of a device, beside the events that the device holds. */
  | {
      readonly kind: "subscription";
      readonly device: string;
      readonly position: number;
      readonly deadLetters: readonly string[];
      readonly events: readonly ConfirmedEvent[];
    }
  /** Somebody restarts the subscription: before the call, and once it has resolved. */
  | { readonly kind: "subscription-reset"; readonly device: string; readonly tab: string; readonly isDone: boolean }
  /** The handler of a store's subscription at the edge is called. */
  | {
      readonly kind: "edge-handed";
      readonly store: string;
      readonly call: number;
      readonly handed: readonly ConfirmedEvent[];
      readonly isReplay: boolean;
    }
  /** That call has ended. One whose object died meanwhile may end too, and nobody listens. */
  | { readonly kind: "edge-answered"; readonly store: string; readonly call: number; readonly isHandled: boolean }
  /** Its object died. */
  | { readonly kind: "edge-killed"; readonly store: string }
  /** An operator resumes it, or restarts it after a position. */
  | {
      readonly kind: "edge-asked";
      readonly store: string;
      readonly what: "resume" | "reset";
      readonly position: number;
      /** Nobody knows whether it came to be until then. */
      readonly isDone: boolean;
    }
  /** Long after the last event came, it works at nothing, waits for nothing, and has not been handed that event. */
  | { readonly kind: "edge-idle"; readonly store: string; readonly position: number }
  /** Its status. */
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
      readonly sentAt: number;
    }
  /** At the edge, over HTTP. */
  | { readonly kind: "sent"; readonly store: string; readonly commit: Commit }
  | {
      readonly kind: "receipt";
      readonly store: string;
      readonly commit: Commit;
      readonly answer: Pick<AppendAnswer, "firstVersion" | "version" | "position">;
      readonly sentAt: number;
    }
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
  /** An event of `tail`, behind the one at `after`. */
  | { readonly kind: "tailed"; readonly store: string; readonly event: ConfirmedEvent; readonly after: number }
  | { readonly kind: "denied"; readonly store: string; readonly told: Denied; readonly token: HeldToken; readonly sentAt: number }
  /** A handler at the edge gives the shelf a command. */
  | { readonly kind: "gives"; readonly store: string; readonly key: string }
  /** The command was decided. */
  | { readonly kind: "given"; readonly store: string; readonly key: string; readonly outcome: "recorded" | "refused" }
  /** A fault has changed the storage of a stream's object, or the log's. */
  | {
      readonly kind: "damaged";
      readonly store: string;
      readonly fault: StorageFault;
      readonly streamId: string;
      /** What was recorded there, as it was stored before. */
      readonly events: readonly RecordedEvent[];
    }
  /** The operator has put the newest good copy in its place. */
  | { readonly kind: "repaired"; readonly store: string; readonly fault: StorageFault; readonly streamId: string }
  /** What an operator reads of damaged storage, without what is damaged. */
  | { readonly kind: "salvaged"; readonly store: string; readonly events: readonly RecordedEvent[] }
  /** The store's health says what the log has lost. `before` and `after` are what the log had, `remembered` and `told` what was beside it. */
  | {
      readonly kind: "health";
      readonly store: string;
      readonly lost: LogEnd | null | undefined;
      readonly remembered: LogEnd | null;
      readonly told: LogEnd | null;
      readonly before: readonly ConfirmedEvent[];
      readonly after: readonly ConfirmedEvent[];
    }
  /** Who needs what is damaged, and is not told within the time that is allowed. */
  | { readonly kind: "untold"; readonly fault: StorageFault; readonly within: number; readonly who: readonly string[] }
  /** The operator reads the whole log and all streams, and then puts an older copy in its place, or nothing (`copiedAt` is null). */
  | {
      readonly kind: "replaced";
      readonly store: string;
      readonly part: "store" | "log";
      readonly before: readonly ConfirmedEvent[];
      /** What the streams hold, and the log does not. */
      readonly unpublished: readonly EventBody[];
      readonly copiedAt: number | null;
      /** The last position of the copy. */
      readonly head: number;
    };
