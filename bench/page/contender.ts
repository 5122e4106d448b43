/** What every side of a job can do, each in its own way and with the durability that it has if nothing else is said. */
import type { GivenEvent } from "./data.ts";

export interface Contender {
  readonly name: string;
  open(database: string): Promise<OpenedLog>;
  remove(database: string): Promise<void>;
  /** Fills a new database with all events, and closes it. Default: a hundred events at a time. */
  readonly fill?: (database: string, events: readonly GivenEvent[]) => Promise<void>;
}

export interface OpenedLog {
  append(event: GivenEvent): Promise<unknown>;
  /** Events of one stream, all or none where the side can do that. */
  commit(events: readonly GivenEvent[]): Promise<unknown>;
  /** Events of many streams, in their order. */
  importAll(events: readonly GivenEvent[]): Promise<unknown>;
  /** @returns how many events there are */
  readStream(streamId: string): Promise<number>;
  /** All events in their order. @returns how many there are. Left out if the side has no order of all events */
  readonly replay?: () => Promise<number>;
  /** Bytes of the database. Left out if what the browser counts for the origin is its size. */
  readonly size?: () => Promise<number>;
  close(): Promise<void>;
}

export async function fillDatabase(contender: Contender, database: string, events: readonly GivenEvent[]): Promise<void> {
  if (contender.fill !== undefined) return contender.fill(database, events);
  const log = await contender.open(database);
  for (let i = 0; i < events.length; i += 100) await log.importAll(events.slice(i, i + 100));
  await log.close();
}
