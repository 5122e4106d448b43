/** Others at the edge, over HTTP: a writer, readers of the feed and of streams, and a caller without permission. */
import type { Commit } from "../../shared/event/commit.ts";
import { toVersion } from "../../shared/order.ts";
import { parseStreamId } from "../../shared/stream-id.ts";
import type { FeedPage } from "../../shared/wire/wire.ts";
import type { Budget } from "./app.ts";
import type { HeldToken } from "./checkers/observation.ts";
import { type Ground, timeAt } from "./ground.ts";
import { eventId } from "./identity.ts";
import type { Network } from "./network.ts";
import { Script } from "./script.ts";
import { signToken } from "./token.ts";

/** Milliseconds until a commit without an answer is sent again. */
const AGAIN = 2000;

export interface OutsideParts {
  readonly ground: Ground;
  readonly network: Network;
  readonly name: string;
  readonly store: string;
  readonly token: HeldToken;
}

type EdgeStore = ReturnType<Script["client"]["connectStore"]>;

/** Appends straight to the edge, and tries again until it is answered. */
export class Writer {
  readonly #parts: OutsideParts;
  readonly #script: Script;
  readonly #edge: EdgeStore;
  readonly #streams: readonly string[];
  readonly #known = new Map<string, number>();
  #made = 0;

  constructor(parts: OutsideParts, streams: readonly string[]) {
    const { ground, name, network, store, token } = parts;
    this.#parts = parts;
    this.#streams = streams;
    this.#script = new Script(ground, name, network);
    this.#edge = this.#script.client.connectStore({ url: `http://edge/v1/${store}`, token: () => signToken(name, token), retries: 1 });
  }

  async run(budget: Budget, pace: number): Promise<void> {
    const { random } = this.#parts.ground;
    for (;;) {
      await this.#script.pause(random.wait(pace));
      if (budget.left <= 0) continue;
      budget.left--;
      void this.#append();
    }
  }

  async #append(): Promise<void> {
    const { ground, name } = this.#parts;
    const { random, scheduler } = ground;
    const streamId = random.pick(this.#streams);
    const events = Array.from({ length: random.between(1, 3) }, () => {
      const number = ++this.#made;
      const occurredAt = timeAt(scheduler.now);
      const data = { key: `${name}-${number}`, number };
      return { id: eventId(name, number), type: "Written", schemaVersion: 1, data, metadata: {}, occurredAt };
    });
    const expectedVersion = random.chance(0.5) ? "any" : toVersion(this.#known.get(streamId) ?? 0);
    await this.#send({ streamId: parseStreamId(streamId), expectedVersion, events });
  }

  async #send(commit: Commit): Promise<void> {
    const { ground, store } = this.#parts;
    const { HeadwaterError } = this.#script.client;
    const { streamId, expectedVersion, events } = commit;
    for (;;) {
      const sentAt = ground.scheduler.now;
      ground.observe({ kind: "sent", store, commit });
      try {
        const answer = await this.#edge.appendToStream(streamId, events, { expectedVersion });
        this.#known.set(streamId, answer.version);
        return ground.observe({ kind: "receipt", store, commit, answer, sentAt });
      } catch (error) {
        if (!(error instanceof HeadwaterError)) return ground.observe({ kind: "uncaught", where: this.#script.name, error });
        if (error.code === "version-conflict") this.#known.set(streamId, error.details.actualVersion ?? 0);
        if (error.code !== "unavailable" && error.code !== "too-many-requests") return;
        await this.#script.pause(AGAIN);
      }
    }
  }
}

/** Follows the feed, page by page, and reads streams in between. */
export class Reader {
  readonly #parts: OutsideParts;
  readonly #script: Script;
  readonly #edge: EdgeStore;
  #after = 0;
  #log: string | undefined;
  #mark: string | undefined;

  constructor(parts: OutsideParts) {
    const { ground, name, network } = parts;
    this.#parts = parts;
    this.#script = new Script(ground, name, network);
    this.#edge = this.#script.client.connectStore({ url: this.#url(""), token: () => this.#bearer(), retries: 0 });
  }

  #url(path: string): string {
    return `http://edge/v1/${this.#parts.store}${path}`;
  }

  #bearer(): string {
    return signToken(this.#parts.name, this.#parts.token);
  }

  async run(pace: number, streamIds: () => readonly string[]): Promise<void> {
    const { random, faults } = this.#parts.ground;
    while (!faults.isOver) {
      await this.#script.pause(random.wait(pace));
      if (random.chance(0.1)) this.startAnew();
      if (random.chance(0.6)) await this.readPage();
      else {
        const ids = streamIds();
        if (ids.length > 0) await this.readStream(random.pick(ids));
      }
    }
  }

  /** Follows the feed by server-sent events. */
  async tail(): Promise<void> {
    const { ground, store, name } = this.#parts;
    const { HeadwaterError } = this.#script.client;
    while (!ground.faults.isOver) {
      let last = 0;
      try {
        for await (const event of this.#edge.tail()) {
          ground.observe({ kind: "tailed", store, event, after: last });
          last = event.position;
          if (ground.faults.isOver) return;
        }
      } catch (error) {
        if (!(error instanceof HeadwaterError)) ground.observe({ kind: "uncaught", where: name, error });
      }
      await this.#script.pause(AGAIN);
    }
  }

  startAnew(): void {
    this.#after = 0;
    this.#log = undefined;
    this.#mark = undefined;
  }

  /** @returns whether there is more; undefined if it failed */
  async readPage(): Promise<boolean | undefined> {
    const { ground, store, token } = this.#parts;
    const after = this.#after;
    const sentAt = ground.scheduler.now;
    const query = new URLSearchParams({ after: String(after), limit: String(ground.random.between(1, 20)) });
    if (this.#log !== undefined) query.set("log", this.#log);
    if (this.#mark !== undefined) query.set("mark", this.#mark);
    const answer = await this.#page(`/feed?${query}`);
    if (answer === undefined) return undefined;
    if ("code" in answer) {
      ground.observe({ kind: "denied", store, told: answer, token, sentAt });
      if (answer.code === "log-mismatch" || answer.code === "position-ahead") this.startAnew();
      return undefined;
    }
    ground.observe({ kind: "page", store, after, page: answer, token, sentAt });
    if (this.#after === after) {
      this.#after = answer.position;
      this.#log = answer.log;
      this.#mark = answer.mark;
    }
    return answer.position < answer.head;
  }

  async readStream(streamId: string): Promise<void> {
    const { ground, store, token } = this.#parts;
    const { HeadwaterError } = this.#script.client;
    const sentAt = ground.scheduler.now;
    try {
      const { events } = await this.#edge.readStream(streamId);
      ground.observe({ kind: "edge-stream", store, streamId, events, token, sentAt });
    } catch (error) {
      if (!(error instanceof HeadwaterError)) return ground.observe({ kind: "uncaught", where: this.#script.name, error });
      ground.observe({ kind: "denied", store, told: { ...error.details, code: error.code }, token, sentAt });
    }
  }

  /** Undefined without the edge's own answer. */
  async #page(path: string): Promise<FeedPage | Denied | undefined> {
    try {
      const response = await this.#script.fetch(this.#url(path), { headers: { authorization: `Bearer ${this.#bearer()}` } });
      const answer = (await response.json()) as Partial<FeedPage & Denied> | null;
      const isEdges = response.ok ? answer?.events !== undefined : answer?.status === response.status;
      return isEdges ? (answer as FeedPage | Denied) : undefined; // what the edge's interface says
    } catch {
      return undefined; // the network's: it is tried again at the next time
    }
  }
}

/** A problem document. */
export interface Denied {
  readonly code: string;
  readonly status?: number;
  readonly log?: string | undefined;
  readonly head?: number | undefined;
}
