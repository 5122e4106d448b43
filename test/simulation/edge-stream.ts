/** One stream at the edge, and its only writer, as `worker/stream/stream-object.ts` implements it. */
import type { RecordedBody } from "../../shared/append.ts";
import { unreachable } from "../../shared/assert.ts";
import { StreamNotFoundError, UnavailableError } from "../../shared/errors.ts";
import type { Commit } from "../../shared/event/commit.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import { toVersion } from "../../shared/order.ts";
import type { PushResult } from "../../shared/wire/wire.ts";
import type { Reply } from "./answers.ts";
import type { LogInstance, PublicationAnswer, Run } from "./edge-log.ts";
import type { ObjectHost } from "./edge-objects.ts";
import { Publisher } from "./edge-publisher.ts";
import { type Ground, timeAt } from "./ground.ts";
import { poisonOf } from "./poison.ts";

/** What it has stored. */
export interface StreamData {
  readonly store: string;
  readonly streamId: string;
  readonly events: RecordedEvent[];
  readonly versions: Map<string, number>;
  /** When it is to be woken. */
  alarm: { readonly at: number } | null;
}

export function newStream(store: string, streamId: string, events: readonly RecordedEvent[] = []): StreamData {
  return { store, streamId, events: [...events], versions: new Map(events.map((event) => [event.id, event.version])), alarm: null };
}

export interface AppendOutcome {
  readonly results: readonly PushResult[];
  /** What the caller is to publish; null where the stream publishes by itself. */
  readonly run: Run | null;
  /** Tells the stream what became of `run`; undefined where the stream is gone meanwhile. */
  readonly published: (answer: PublicationAnswer | null) => readonly PushResult[] | undefined;
}

/** How long an append waits for its position, in milliseconds. */
const POSITION_WAIT = 500;

export interface StreamParts {
  readonly ground: Ground;
  readonly data: StreamData;
  readonly log: () => ObjectHost<LogInstance>;
  readonly setAlarm: (delay: number) => void;
  readonly isCurrent: () => boolean;
}

export class StreamInstance {
  readonly #parts: StreamParts;
  readonly #publisher: Publisher;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.#publisher = new Publisher(parts);
  }

  append(commits: readonly Commit[], publishedBy: "stream" | "caller", reply: Reply<AppendOutcome>): void {
    const results = this.#commit(commits);
    const run = publishedBy === "caller" ? this.#publisher.handOver() : null;
    const answer = () => reply({ value: { results: this.#withPositions(results), run, published } });
    const published = (told: PublicationAnswer | null) => {
      if (!this.#parts.isCurrent()) return undefined;
      if (run !== null) this.#publisher.handedOver(run, told);
      return this.#withPositions(results);
    };
    if (run !== null) return answer();
    this.#publisher.within(POSITION_WAIT, this.#parts.data.events.length, oldestTaken(results), answer);
  }

  #commit(commits: readonly Commit[]): PushResult[] {
    // One transaction: where one commit throws, the ones before it are rolled back too.
    if (commits.some((commit) => poisonOf(commit.events) === "fails")) throw new UnavailableError("The stream failed.");
    const results: PushResult[] = [];
    let appended = false;
    for (const commit of commits) {
      const result = isRefused(results.at(-1)) ? ({ status: "skipped", streamId: commit.streamId } as const) : this.#append(commit);
      appended ||= result.status === "committed";
      results.push(result);
    }
    if (appended) this.#publisher.arm();
    return results;
  }

  #append(commit: Commit): PushResult {
    const { data, ground } = this.#parts;
    const { streamId } = commit;
    const decision = ground.rules.appendAtEdge({ version: toVersion(data.events.length), recorded: this.#recorded(commit) }, commit);
    switch (decision.kind) {
      case "append":
        this.#insert(commit, decision.firstVersion);
        return { status: "committed", streamId, firstVersion: decision.firstVersion, version: decision.version, position: null };
      case "duplicate":
        ground.count("commits that the edge had already");
        return { status: "duplicate", streamId, firstVersion: decision.firstVersion, version: decision.version, position: null };
      case "refused":
        if (decision.code === "event-id-reused")
          return { status: "rejected", streamId, code: decision.code, detail: "", eventId: decision.eventId };
        return {
          status: "conflict",
          streamId,
          code: decision.code,
          expectedVersion: commit.expectedVersion,
          actualVersion: decision.actualVersion,
          detail: "",
        };
      default:
        return unreachable(decision);
    }
  }

  #insert({ events }: Commit, firstVersion: number): void {
    const { data, ground } = this.#parts;
    const recordedAt = timeAt(ground.scheduler.now);
    ground.count("events recorded", events.length);
    for (const [i, body] of events.entries()) {
      const version = toVersion(firstVersion + i);
      data.events.push({ ...body, streamId: data.streamId, version, position: null, recordedAt, actor: null });
      data.versions.set(body.id, version);
      ground.tell(() => `edge: ${data.store}/${data.streamId}@${version} ${body.id}`);
    }
  }

  #recorded({ events }: Commit): Map<string, RecordedBody> {
    const { data } = this.#parts;
    const recorded = new Map<string, RecordedBody>();
    for (const { id } of events) {
      const body = data.events[(data.versions.get(id) ?? 0) - 1];
      if (body !== undefined) recorded.set(id, body);
    }
    return recorded;
  }

  #withPositions(results: readonly PushResult[]): PushResult[] {
    return results.map((result) =>
      "firstVersion" in result ? { ...result, position: this.#publisher.positionOf(result.firstVersion) } : result,
    );
  }

  read(reply: Reply<readonly RecordedEvent[]>): void {
    const { data } = this.#parts;
    if (data.events.length === 0) throw new StreamNotFoundError();
    const upTo = data.events.length;
    // Positions are worth a moment's wait, and reading must not depend on the log.
    this.#publisher.within(POSITION_WAIT, 0, 1, () => {
      const events = data.events.slice(0, upTo);
      reply({ value: events.map((event) => ({ ...event, position: this.#publisher.positionOf(event.version) })) });
    });
  }

  alarm(done: () => void): void {
    this.#publisher.onAlarm(done);
  }
}

function isRefused(result: PushResult | undefined): boolean {
  return result !== undefined && result.status !== "committed" && result.status !== "duplicate";
}

/** The first version whose position the results want. */
function oldestTaken(results: readonly PushResult[]): number | undefined {
  const versions = results.flatMap((result) => ("firstVersion" in result ? [result.firstVersion] : []));
  return versions.length === 0 ? undefined : Math.min(...versions);
}
