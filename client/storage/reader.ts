/** Reading a stream, and the confirmed log, on the device. */

import { InvalidRequestError, StreamNotFoundError, UnavailableError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { readerFilter } from "../../shared/feed-filter.ts";
import { parseCount } from "../../shared/limits.ts";
import { isOrdinal, type Version } from "../../shared/order.ts";
import { parseStreamId, type StreamId } from "../../shared/stream-id.ts";
import type { ReadAllOptions, ReadStreamOptions, StreamSlice } from "../event-store.ts";
import type { EventCodec } from "../streams/event-codec.ts";
import type { Database } from "./database.ts";
import { pagesFrom, type ReadTx, readReplica, replicaOf, streamEvents, versionOf } from "./device-log.ts";
import { eventsOfPages } from "./segments.ts";

export class Reader {
  readonly #database: Database;
  readonly #codec: EventCodec;
  /** Throws if the store was closed. */
  readonly #assertOpen: () => void;

  constructor(database: Database, codec: EventCodec, assertOpen: () => void) {
    this.#database = database;
    this.#codec = codec;
    this.#assertOpen = assertOpen;
  }

  async readStream(streamId: string, options: ReadStreamOptions): Promise<StreamSlice> {
    this.#assertOpen();
    const id = parseStreamId(streamId);
    const { direction = "forwards" } = options;
    if (direction !== "forwards" && direction !== "backwards") {
      throw new InvalidRequestError('direction: expected "forwards" or "backwards".', { field: "direction" });
    }
    const limit = parseCount(options.limit, "limit") ?? Number.POSITIVE_INFINITY;
    const from = parseCount(options.from, "from");
    const { read } = this.#codec;
    return this.#database.run(async (db) => {
      const tx: ReadTx = db.transaction(["events"], "readonly");
      if (direction === "forwards") {
        const events = await streamEvents(tx, id, from ?? 1, (from ?? 1) + limit - 1);
        // If a stream is read to its end, its last event has its version. That saves two requests.
        const last = limit === Number.POSITIVE_INFINITY ? events.at(-1)?.version : undefined;
        return { streamId: id, version: last ?? (await existingVersion(tx, id)), events: events.map(read) };
      }
      const version = await existingVersion(tx, id);
      const upper = Math.min(from ?? version, version);
      const events = await streamEvents(tx, id, Math.max(1, upper - limit + 1), upper);
      return { streamId: id, version, events: events.reverse().map(read) };
    });
  }

  async *readAll(options: ReadAllOptions): AsyncGenerator<ConfirmedEvent, void, undefined> {
    const filter = readerFilter(options);
    let left = parseCount(options.limit, "limit") ?? Number.POSITIVE_INFINITY;
    let after = options.after ?? 0;
    if (!isOrdinal(after)) throw new InvalidRequestError("after: expected a position, a whole number from 0.", { field: "after" });
    this.#assertOpen();
    const { position: end, resets } = await this.#database.run(readReplica);
    while (after < end) {
      this.#assertOpen();
      const [segments, replica] = await this.#database.run(async (db) => {
        const tx: ReadTx = db.transaction(["events", "meta"], "readonly");
        return Promise.all([pagesFrom(tx, after), replicaOf(tx)]);
      });
      if (replica.resets !== resets) throw new UnavailableError("The store was reset while it was read. Read again.");
      const last = segments.at(-1);
      if (last === undefined) return;
      for (const event of eventsOfPages(segments, filter.stream)) {
        if (event.position <= after || event.position > end || !(filter.content?.(event) ?? true)) continue;
        if (left-- <= 0) return;
        yield this.#codec.read(event);
      }
      after = last.key[0];
    }
  }
}

async function existingVersion(tx: ReadTx, streamId: StreamId): Promise<Version> {
  const version = await versionOf(tx, streamId);
  if (version === 0) throw new StreamNotFoundError(`${streamId} is not on this device.`);
  return version;
}
