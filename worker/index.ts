/** `headwater/edge`: the parts that a Worker of one's own is made of. */

export type { CommandRefusal, PendingCommand } from "../shared/decider/command.ts";
export type { CommandDefinition, CommandDefinitions, CommandUpcaster, CommandUpcasters } from "../shared/decider/command-versions.ts";
export type { AnyDecider, CommandContext, DecidedEvent, Decider } from "../shared/decider/decider.ts";
export type { Action, Grant } from "../shared/edge/grants.ts";
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
export type { ConfirmedEvent, EventBody, EventMetadata, RecordedEvent, RecordingFields } from "../shared/event/event.ts";
export type {
  EventType,
  EventTypeDefinition,
  EventTypeDefinitions,
  EventTypes,
  StandardSchema,
  Upcaster,
} from "../shared/event/event-types.ts";
export type { ExpectedVersion } from "../shared/expected-version.ts";
export type { Json } from "../shared/json.ts";
export { DEFAULT_LIMITS, type Limits } from "../shared/limits.ts";
export type { Position, Version } from "../shared/order.ts";
export type { StreamId } from "../shared/stream-id.ts";
export { type Beginning, type DeadLetter, HandlerError, type SubscriptionState, type SubscriptionStatus } from "../shared/subscription.ts";
export type { Authenticate, Principal } from "./access/access.ts";
export type { JwtSettings } from "./access/jwt.ts";
export type { EdgeEnv } from "./env.ts";
export type { IndexObject } from "./log/index-object.ts";
export type { LogObject } from "./log/log-object.ts";
export { createEdge, type Edge } from "./routes/edge.ts";
export type { EdgeSettings } from "./routes/settings.ts";
export type { StreamObject } from "./stream/stream-object.ts";
export type { CommandOptions, HandleCommand, HandledCommand } from "./subscription/handle-command.ts";
export type { HandlerContext, Subscription } from "./subscription/settings.ts";
export type { SubscriptionObject } from "./subscription/subscription-object.ts";
