/** A row of the log: consecutive versions of one stream, on consecutive positions. */
import { StorageDamagedError } from "../../shared/errors.ts";
import { placesOf } from "../../shared/places.ts";
import { checkRun, type IntactLine } from "../objects/run-text.ts";

/** A row of the table `runs`. */
export type LogRow = {
  last_position: number;
  stream_id: string;
  first_version: number;
  last_version: number;
  /** As `run-text.ts` makes them. */
  events: string;
  mark: string;
};

/** A row without its events. */
export type RowPlace = Omit<LogRow, "events" | "mark">;
/** Which versions of a stream a row has, and where it ends. */
export type RowVersions = Omit<RowPlace, "stream_id">;

/** Of a table of runs. */
export const COLUMNS = `
  last_position INTEGER PRIMARY KEY,
  stream_id TEXT NOT NULL,
  first_version INTEGER NOT NULL,
  last_version INTEGER NOT NULL,
  events TEXT NOT NULL,
  mark TEXT NOT NULL
`;

/** The position of a row's first event. */
export function firstPositionOf({ last_position, first_version, last_version }: RowVersions): number {
  return last_position - (last_version - first_version);
}

/** The events of a row; undefined if the row is damaged. */
export function intact({ events, stream_id, first_version, last_version }: LogRow): IntactLine[] | undefined {
  return checkRun(events, stream_id, first_version, last_version);
}

/** The error for a reader who needs the events at these positions. */
export function damagedAt(position: number, last: number): StorageDamagedError {
  const message = `The log's storage is damaged at ${placesOf("position", position, last)}: what is stored there is not what was written. Who runs the edge has to repair it. A reader may go on behind it with damaged=skip.`;
  return new StorageDamagedError(message, { position });
}

/** Versions of one stream that are next to each other in the log. */
export interface Span {
  readonly firstVersion: number;
  readonly lastVersion: number;
  readonly firstPosition: number;
}
