/** What streams send to the log, and what it answers. */
import type { Refused } from "../objects/refused.ts";
import type { Span } from "./log-rows.ts";

/** Versions of one stream without gaps, on their way into the log. */
export interface PublishedRun {
  readonly streamId: string;
  readonly firstVersion: number;
  /** As `run-text.ts` makes them. */
  readonly events: string;
  /** The id of the event before the first, as the stream has it. Left out if the log is known to have it, and by a stream of an earlier version. */
  readonly previous?: string;
  /** The stream's version. The versions after this run are still to be published. */
  readonly streamVersion: number;
}

export type PublicationAnswer =
  /** The log has the whole run, here. */
  | {
      readonly kind: "published";
      readonly spans: readonly Span[];
      /** The stream's last version in the log; undefined from a log of a version that did not say. */
      readonly head?: number;
    }
  /** The log has the stream only up to `head`: send again from there. */
  | { readonly kind: "gap"; readonly head: number }
  /** The log has another event at this version of the stream. */
  | { readonly kind: "diverged"; readonly version: number };

export interface Published extends Partial<Refused> {
  readonly log: string;
  /** One for each run, in order; none if the publication is refused, because the store was deleted. */
  readonly answers: readonly PublicationAnswer[];
}

/** What a device or a reader knows of the log that it follows. */
export interface Followed {
  readonly log?: string | undefined;
  /** How far it has followed the log. */
  readonly position?: number | undefined;
  /** The log's mark at that position. */
  readonly mark?: string | undefined;
}
