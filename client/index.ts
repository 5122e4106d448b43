/** `headwater`: the store in a browser. */

export type { DecidedEvent, Decider } from "../shared/decider.ts";
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
export type { ConfirmedEvent, EventBody, EventMetadata, NewEvent, RecordedEvent } from "../shared/event.ts";
export type { ExpectedVersion } from "../shared/expected-version.ts";
export type { Json } from "../shared/json.ts";
export { DEFAULT_LIMITS, type Limits } from "../shared/limits.ts";
export type { Position, Version } from "../shared/order.ts";
export type { CommutingPair, Contested } from "../shared/resolution.ts";
export type { Conflict } from "./conflicts.ts";
export type {
  AppendOptions,
  AppendResult,
  EventStore,
  ReadAllOptions,
  ReadStreamOptions,
  StreamEvent,
  StreamSlice,
} from "./event-store.ts";
export type { Exported } from "./export.ts";
export type { ConflictAnswer, ConflictRules } from "./resolver.ts";
export type { Connection, Status } from "./status.ts";
export { openStore, type Store, type StoreOptions, type SyncOptions } from "./store.ts";
