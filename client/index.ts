/** `headwater`: the store in a browser. */

export type { AnyDecider, CommandNote, DecidedEvent, Decider, Folding } from "../shared/device/decider.ts";
export type { AnyProjection, FoundRow, IndexField, Projection, RowQuery } from "../shared/device/projection.ts";
export type { CommutingPair, Contested } from "../shared/device/resolution.ts";
export type { SetAside } from "../shared/device/subscription.ts";
export {
  type ErrorCode,
  type ErrorDetails,
  EventIdReusedError,
  ForbiddenError,
  HeadwaterError,
  InvalidRequestError,
  LogMismatchError,
  PayloadTooLargeError,
  PositionAheadError,
  StorageFailedError,
  StoreClosedError,
  StoreFullError,
  StreamNotFoundError,
  TooManyRequestsError,
  UnauthenticatedError,
  UnavailableError,
  VersionConflictError,
} from "../shared/errors.ts";
export type { ConfirmedEvent, EventBody, EventMetadata, NewEvent, RecordedEvent } from "../shared/event/event.ts";
export type { ExpectedVersion } from "../shared/expected-version.ts";
export type { Json } from "../shared/json.ts";
export { DEFAULT_LIMITS, type Limits } from "../shared/limits.ts";
export type { Position, Version } from "../shared/order.ts";
export { HandlerError } from "../shared/subscription.ts";
export type { EventTypeOptions } from "./event-checks.ts";
export type {
  AppendOptions,
  AppendResult,
  EventStore,
  ReadAllOptions,
  ReadStreamOptions,
  StreamEvent,
  StreamSlice,
} from "./event-store.ts";
export type { LiveValue } from "./live-value.ts";
export type { Aggregate, FoldOptions } from "./model/aggregates.ts";
export type { Conflict } from "./model/conflicts.ts";
export type { Exported } from "./model/export.ts";
export type { Handled, HandleOptions } from "./model/handle.ts";
export type { LiveState } from "./model/live-state.ts";
export type { ProjectionStatus } from "./model/projector.ts";
export type { Handler, SubscribeOptions } from "./model/subscriber.ts";
export type { SubscriptionKeeper, SubscriptionStatus } from "./model/subscription-keeper.ts";
export type { LiveRows, Table } from "./model/table.ts";
export type { ConflictAnswer, ConflictRules } from "./rules.ts";
export type { Connection, Status } from "./status.ts";
export { openStore, type Store, type StoreOptions, type SyncOptions } from "./store.ts";
