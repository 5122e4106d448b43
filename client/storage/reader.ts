/** Reading a stream, and the confirmed log, on the device. */

import { aboutStream, StreamNotFoundError, UnavailableError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { readerFilter } from "../../shared/feed-filter.ts";
import { completeOptions } from "../../shared/options.ts";
import type { Version } from "../../shared/order.ts";
import { parseStreamId, type StreamId } from "../../shared/stream-id.ts";
import type { ReadAllOptions, ReadStreamOptions, StreamSlice } from "../event-store.ts";
import type { EventCodec } from "../streams/event-codec.ts";
import type { Database } from "./database.ts";
import { pagesFrom, type ReadTx, readReplica, replicaOf, streamEvents, versionOf } from "./device-log.ts";
import { READ_ALL_OPTIONS, READ_STREAM_OPTIONS } from "./read-options.ts";
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
    const { direction, from, limit = Number.POSITIVE_INFINITY } = completeOptions(options, READ_STREAM_OPTIONS);
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

  async *readAll(given: ReadAllOptions): AsyncGenerator<ConfirmedEvent, void, undefined> {
    const options = completeOptions(given, READ_ALL_OPTIONS);
    const filter = readerFilter(options);
    let { after, limit: left = Number.POSITIVE_INFINITY } = options;
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
  if (version === 0) throw aboutStream(new StreamNotFoundError("The stream is not on this device."), streamId);
  return version;
}
