/** `headwater`: the store in a browser. */

export type { Backoff } from "../shared/backoff.ts";
export type { CommandRefusal, PendingCommand } from "../shared/decider/command.ts";
export type { CommandDefinition, CommandDefinitions, CommandUpcaster, CommandUpcasters } from "../shared/decider/command-versions.ts";
export type { AnyDecider, CommandContext, DecidedEvent, Decider, Folding } from "../shared/decider/decider.ts";
export type { Loss } from "../shared/device/loss.ts";
export type { SendProgress } from "../shared/device/progress.ts";
export type { AnyProjection, FoundRow, IndexField, Projection, RowQuery } from "../shared/device/projection.ts";
export type { CommutingPair, Contested } from "../shared/device/resolution.ts";
export {
  CommandRefusedError,
  CommandRequiredError,
  CommitsLostError,
  DeciderVersionError,
  type ErrorCode,
  type ErrorDetails,
  EventIdReusedError,
  ForbiddenError,
  HeadwaterError,
  InvalidRequestError,
  LogMismatchError,
  OwnerMismatchError,
  PayloadTooLargeError,
  PositionAheadError,
  type Remedy,
  StorageDamagedError,
  StorageFailedError,
  StoreClosedError,
  StoreDeletedError,
  StoreFullError,
  StreamDivergedError,
  StreamNotFoundError,
  TooManyRequestsError,
  UnauthenticatedError,
  UnavailableError,
  VersionConflictError,
} from "../shared/errors.ts";
export type { Cause } from "../shared/event/causation.ts";
export type { ConfirmedEvent, EventBody, EventMetadata, NewEvent, RecordedEvent, RecordingFields } from "../shared/event/event.ts";
export type {
  DataOf,
  EventType,
  EventTypeDefinition,
  EventTypeDefinitions,
  EventTypes,
  StandardSchema,
  Upcaster,
} from "../shared/event/event-types.ts";
export { UpcastError } from "../shared/event/event-types.ts";
export type { ExpectedVersion } from "../shared/expected-version.ts";
export type { Json } from "../shared/json.ts";
export { DEFAULT_LIMITS, type Limits } from "../shared/limits.ts";
export type { Position, Version } from "../shared/order.ts";
export {
  type Beginning,
  type DeadLetter,
  HandlerError,
  type SubscriptionPolicy,
  type SubscriptionState,
  type SubscriptionStatus,
} from "../shared/subscription.ts";
export type { Conflict } from "./conflicts/conflicts.ts";
export type { ConflictAnswer, ConflictRules } from "./conflicts/rules.ts";
export type { ConnectionOptions } from "./edge/connection-options.ts";
export type {
  AppendOptions,
  AppendResult,
  EventStore,
  ReadAllOptions,
  ReadStreamOptions,
  StreamEvent,
  StreamSlice,
} from "./event-store.ts";
export type { ProjectionStatus } from "./rows/projector.ts";
export type { LiveRows, Table } from "./rows/table.ts";
export type { ExportedCommit } from "./storage/export.ts";
export type { Platform } from "./storage/idb.ts";
export type { SignedOut } from "./storage/sign-out.ts";
export { deleteStore, openStore, type Store } from "./store.ts";
export type { DeleteOptions, ResetOptions, SignOutOptions, StoreOptions, SyncFilter, SyncOptions } from "./store-options.ts";
export type { Aggregate, FoldOptions } from "./streams/aggregates.ts";
export type { EventTypeOptions } from "./streams/event-codec.ts";
export type { HandleOptions, HandleResult } from "./streams/handle.ts";
export type { LiveState } from "./streams/live-state.ts";
export type { SubscriptionControl } from "./subscription/control.ts";
export type { Handler, SubscribeOptions } from "./subscription/subscriber.ts";
export type { Connection, Status } from "./sync/status.ts";
export type { LiveValue } from "./tools/live-value.ts";
