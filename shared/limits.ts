/**
 * How much is too much. Every limit is refused with its own error and nothing is ever truncated. The defaults keep a
 * commit's row well below the 2 MB that a Durable Object stores in production; the local runtime takes 4 MiB, so only a
 * check of our own finds what would fail after a deploy.
 */
export interface Limits {
  /** Bytes of an event's data and metadata together, as UTF-8 JSON. */
  readonly eventBytes: number;
  /** Bytes of all events of a commit, as UTF-8 JSON with their ids, types and times. */
  readonly commitBytes: number;
  /** Events in a commit. */
  readonly commitEvents: number;
  /** Levels of arrays and objects in an event's data or metadata; a plain value is level 0. */
  readonly jsonDepth: number;
  /** Commits in one push. */
  readonly pushCommits: number;
  /**
   * Different streams in one push: each is a subrequest of the Worker that takes the push, and the free plan of
   * Cloudflare Workers allows 50 a request.
   */
  readonly pushStreams: number;
  /** Bytes of a request's body. */
  readonly bodyBytes: number;
  /** Events in a page of a stream or of the feed. */
  readonly pageEvents: number;
}

export const DEFAULT_LIMITS: Limits = {
  eventBytes: 64 * 1024,
  commitBytes: 1024 * 1024,
  commitEvents: 1000,
  jsonDepth: 64,
  pushCommits: 1000,
  pushStreams: 40,
  bodyBytes: 4 * 1024 * 1024,
  pageEvents: 1000,
};

/** A type's or an actor's length in characters. Not configurable: it is part of what a row may hold. */
export const NAME_LENGTH = 255;
