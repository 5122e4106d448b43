/** Others at the edge, over HTTP: a writer, readers of the feed and of streams, and a caller without permission. */
import type { Commit } from "../../shared/event/commit.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import { parseStreamId } from "../../shared/stream-id.ts";
import type { AppendAnswer, FeedPage } from "../../shared/wire/wire.ts";
import type { Budget } from "./app.ts";
import type { HeldToken } from "./checkers/observation.ts";
import type { Edge } from "./edge.ts";
import { type Ground, timeAt } from "./ground.ts";
import { type Network, once, type Party } from "./network.ts";

const ONLINE: Party = { isOffline: false };
/** Milliseconds until a request without an answer is made again. */
const AGAIN = 2000;

export interface OutsideParts {
  readonly ground: Ground;
  readonly network: Network;
  readonly edge: Edge;
  readonly store: string;
  readonly token: HeldToken;
}

/** Appends straight to the edge, and tries again until it is answered. */
export class Writer {
  readonly #parts: OutsideParts;
  readonly #streams: readonly string[];
  readonly #known = new Map<string, number>();
  #made = 0;

  constructor(parts: OutsideParts, streams: readonly string[]) {
    this.#parts = parts;
    this.#streams = streams;
  }

  start(budget: Budget, pace: number): void {
    const { scheduler, random } = this.#parts.ground;
    scheduler.after(random.wait(pace), () => {
      if (budget.left > 0) {
        budget.left--;
        this.#append();
      }
      this.start(budget, pace);
    });
  }

  #append(): void {
    const { ground, store } = this.#parts;
    const { random, scheduler } = ground;
    const streamId = random.pick(this.#streams);
    const events = Array.from({ length: random.between(1, 3) }, () => {
      const number = ++this.#made;
      const occurredAt = timeAt(scheduler.now);
      return { id: `${store}-W-${number}`, type: `${store}.Written`, schemaVersion: 1, data: { number }, metadata: {}, occurredAt };
    });
    const expectedVersion = random.chance(0.5) ? "any" : (this.#known.get(streamId) ?? 0);
    this.#send({ streamId: parseStreamId(streamId), expectedVersion, events });
  }

  #send(commit: Commit): void {
    const { ground, network, edge, store, token } = this.#parts;
    const sentAt = ground.scheduler.now;
    ground.observe({ kind: "sent", store, commit });
    network.request<AppendAnswer>(
      ONLINE,
      (reply) => edge.append(store, token, commit, reply),
      once((answer) => {
        if ("value" in answer) {
          this.#known.set(commit.streamId, answer.value.version);
          return ground.observe({ kind: "receipt", store, commit, answer: answer.value, sentAt });
        }
        const { code, details } = answer.error;
        if (code === "version-conflict") this.#known.set(commit.streamId, details.actualVersion ?? 0);
        else if (code === "unavailable" || code === "too-many-requests") ground.scheduler.after(AGAIN, () => this.#send(commit));
      }),
    );
  }
}

/** Follows the feed, page by page, and reads streams in between. */
export class Reader {
  readonly #parts: OutsideParts;
  #after = 0;
  #log: string | undefined;
  #mark: string | undefined;

  constructor(parts: OutsideParts) {
    this.#parts = parts;
  }

  start(pace: number, streamIds: () => readonly string[]): void {
    const { scheduler, random } = this.#parts.ground;
    scheduler.after(random.wait(pace), () => {
      if (random.chance(0.1)) this.startAnew();
      if (random.chance(0.6)) this.readPage();
      else {
        const ids = streamIds();
        if (ids.length > 0) this.readStream(random.pick(ids));
      }
      this.start(pace, streamIds);
    });
  }

  startAnew(): void {
    this.#after = 0;
    this.#log = undefined;
    this.#mark = undefined;
  }

  /** @param done told whether there is more */
  readPage(done: (hasMore: boolean | undefined) => void = () => undefined): void {
    const { ground, network, edge, store, token } = this.#parts;
    const after = this.#after;
    const sentAt = ground.scheduler.now;
    const limit = ground.random.between(1, 20);
    const query = {
      after,
      limit,
      ...(this.#log === undefined ? {} : { log: this.#log }),
      ...(this.#mark === undefined ? {} : { mark: this.#mark }),
    };
    network.request<FeedPage>(
      ONLINE,
      (reply) => edge.feed(store, token, query, reply),
      once((answer) => {
        if ("error" in answer) {
          ground.observe({ kind: "denied", store, error: answer.error, token, sentAt });
          if (answer.error.code === "log-mismatch" || answer.error.code === "position-ahead") this.startAnew();
          return done(undefined);
        }
        ground.observe({ kind: "page", store, after, page: answer.value, token, sentAt });
        if (this.#after === after) {
          this.#after = answer.value.position;
          this.#log = answer.value.log;
          this.#mark = answer.value.mark;
        }
        done(answer.value.position < answer.value.head);
      }),
    );
  }

  readStream(streamId: string, done: () => void = () => undefined): void {
    const { ground, network, edge, store, token } = this.#parts;
    const sentAt = ground.scheduler.now;
    network.request<readonly RecordedEvent[]>(
      ONLINE,
      (reply) => edge.read(store, token, streamId, reply),
      once((answer) => {
        if ("value" in answer) ground.observe({ kind: "edge-stream", store, streamId, events: answer.value, token, sentAt });
        else ground.observe({ kind: "denied", store, error: answer.error, token, sentAt });
        done();
      }),
    );
  }
}
