/** The simplest store that fulfils the contract: arrays, and the decisions of `shared/`. */
import type { AppendOptions, AppendResult, EventStore, ReadAllOptions, ReadStreamOptions, StreamSlice } from "../../client/event-store.ts";
import { decideAppend, refusalError } from "../../shared/append.ts";
import { aboutStream, InvalidRequestError, StoreClosedError, StreamNotFoundError } from "../../shared/errors.ts";
import { withCause } from "../../shared/event/causation.ts";
import { parseCommit } from "../../shared/event/commit.ts";
import type { ConfirmedEvent, NewEvent } from "../../shared/event/event.ts";
import { feedFilter } from "../../shared/feed-filter.ts";
import { DEFAULT_LIMITS, parseCount } from "../../shared/limits.ts";
import { isOrdinal, toPosition, toVersion } from "../../shared/order.ts";
import { parseStreamId } from "../../shared/stream-id.ts";

export class MemoryStore implements EventStore {
  readonly #log: ConfirmedEvent[] = [];
  #closed = false;

  async appendToStream(streamId: string, events: readonly NewEvent[], options: AppendOptions = {}): Promise<AppendResult> {
    this.#throwIfClosed();
    const id = parseStreamId(streamId);
    try {
      return this.#append(id, events, options);
    } catch (error) {
      throw aboutStream(error, id);
    }
  }

  #append(streamId: string, given: readonly NewEvent[], { expectedVersion = "any", causedBy }: AppendOptions): AppendResult {
    const now = new Date().toISOString();
    const commit = parseCommit(
      { streamId, expectedVersion, events: withCause(given, causedBy) },
      { newId: () => crypto.randomUUID(), occurredAt: now },
      DEFAULT_LIMITS,
    );
    const stream = this.#stream(streamId);
    const ids = new Set(commit.events.map((event) => event.id));
    const recorded = new Map(stream.filter((event) => ids.has(event.id)).map((event) => [event.id, event]));
    const decision = decideAppend({ version: toVersion(stream.length), recorded }, commit);
    if (decision.kind === "refused") throw refusalError(decision);
    if (decision.kind === "append") {
      for (const [i, body] of commit.events.entries()) {
        const version = toVersion(decision.firstVersion + i);
        this.#log.push(
          structuredClone({ ...body, streamId, version, position: toPosition(this.#log.length + 1), recordedAt: now, actor: null }),
        );
      }
    }
    const { firstVersion, version } = decision;
    const position = this.#stream(streamId)[firstVersion - 1]?.position ?? null;
    return { streamId, firstVersion, version, position, pending: false, duplicate: decision.kind === "duplicate" };
  }

  async readStream(streamId: string, { direction = "forwards", ...given }: ReadStreamOptions = {}): Promise<StreamSlice> {
    this.#throwIfClosed();
    const stream = this.#stream(parseStreamId(streamId));
    if (direction !== "forwards" && direction !== "backwards") throw new InvalidRequestError("not a direction", { field: "direction" });
    const limit = parseCount(given.limit, "limit") ?? Number.POSITIVE_INFINITY;
    const from = parseCount(given.from, "from");
    if (stream.length === 0) throw aboutStream(new StreamNotFoundError(), streamId);
    const wanted = stream.filter(
      (event) => from === undefined || (direction === "forwards" ? event.version >= from : event.version <= from),
    );
    if (direction === "backwards") wanted.reverse();
    return { streamId, version: stream.length, events: wanted.slice(0, limit).map((event) => ({ ...event, pending: false })) };
  }

  async *readAll({ after = 0, limit, ...query }: ReadAllOptions = {}): AsyncGenerator<ConfirmedEvent, void, undefined> {
    this.#throwIfClosed();
    if (!isOrdinal(after)) throw new InvalidRequestError("not a position", { field: "after" });
    const filter = feedFilter(query);
    const wanted = this.#log.filter(
      (event) => event.position > after && filter.stream(event.streamId) && (filter.content?.(event) ?? true),
    );
    yield* wanted.slice(0, parseCount(limit, "limit"));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #stream(streamId: string): ConfirmedEvent[] {
    return this.#log.filter((event) => event.streamId === streamId);
  }

  #throwIfClosed(): void {
    if (this.#closed) throw new StoreClosedError();
  }
}
