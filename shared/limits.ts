/** The limits of sizes and counts. A value above a limit throws an error that names the limit; nothing is ever truncated. */
import { InvalidRequestError } from "./errors.ts";
import * as option from "./options.ts";
import { isOrdinal } from "./order.ts";

export interface Limits {
  /** Bytes of an event's data and metadata together, as UTF-8 JSON. Default: 65,536. */
  readonly eventBytes: number;
  /** Bytes of all events of a commit, as UTF-8 JSON with their ids, types and times. Default: 1,048,576. */
  readonly commitBytes: number;
  /** Events in a commit. Default: 1,000. */
  readonly commitEvents: number;
  /** Levels of arrays and objects in an event's data or metadata; a plain value is level 0. Default: 64. */
  readonly jsonDepth: number;
  /** Commits in one push. Default: 1,000. */
  readonly pushCommits: number;
  /**
   * Different streams in one push. For each, the Worker that takes the push makes two calls: one to append, and one to notify the
   * stream of what the log published.
   * The free plan of Cloudflare Workers allows 50 subrequests a request (https://developers.cloudflare.com/workers/platform/limits/).
   * The documentation does not say whether the second call counts. 2 × 20 calls leave room for the log, for retries and for
   * authentication. The paid plan allows 10,000. Default: 20.
   */
  readonly pushStreams: number;
  /** Bytes of a request's body. Default: 4,194,304. */
  readonly bodyBytes: number;
  /** Events in a page of a stream or of the feed. Default: 1,000. */
  readonly pageEvents: number;
}

export const DEFAULT_LIMITS: Limits = {
  eventBytes: 64 * 1024,
  commitBytes: 1024 * 1024,
  commitEvents: 1000,
  jsonDepth: 64,
  pushCommits: 1000,
  pushStreams: 20,
  bodyBytes: 4 * 1024 * 1024,
  pageEvents: 1000,
};

export const LIMIT_OPTIONS = /* @__PURE__ */ Object.fromEntries(
  Object.entries(DEFAULT_LIMITS).map(([name, preset]) => [name, option.withPreset(option.count, preset)]),
) as Readonly<Record<keyof Limits, option.Option & { readonly preset: number }>>; // it has the names of the defaults

/**
 * The given limits, with defaults for those that are left out.
 *
 * @throws InvalidRequestError for a name that is no limit, and for a limit that is not a whole number from 1
 */
export function completeLimits(given: Partial<Limits> = {}): Limits {
  return option.completeOptions(given, LIMIT_OPTIONS, "limits.");
}

/** Returns `value`. @throws InvalidRequestError if it is neither a whole number from 1 nor undefined */
export function parseCount(value: unknown, field: string): number | undefined {
  if (value === undefined) return undefined;
  if (!isOrdinal(value) || value === 0) throw new InvalidRequestError(`${field} must be a whole number from 1.`, { field });
  return value;
}

/**
 * How many bytes a row of a Durable Object can have in production: https://developers.cloudflare.com/durable-objects/platform/limits/.
 * The local runtime accepts twice as much, so only a check of our own finds what would fail after a deploy.
 */
export const ROW_BYTES = 2_000_000;

/** Bytes that the edge adds to an event when it records it: the time, and an actor of the greatest length in UTF-8. */
const RECORDING_BYTES = 900;

/** @throws InvalidRequestError if a commit of the greatest allowed size would not fit into a row of the edge */
export function assertCommitFitsRow({ commitBytes, commitEvents }: Limits): void {
  if (commitBytes + commitEvents * RECORDING_BYTES <= ROW_BYTES) return;
  throw new InvalidRequestError(
    `A commit must fit into a row of the edge: commitBytes + ${RECORDING_BYTES} * commitEvents must be at most ${ROW_BYTES}.`,
    { field: "limits.commitBytes" },
  );
}

/** The greatest length of an event type or an actor, in characters. It is not configurable, because the size of a row depends on it. */
export const NAME_LENGTH = 255;
