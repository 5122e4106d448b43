/**
 * Handles a push of many streams' commits, as `worker/routes/push.ts` does: the streams in parallel, then one publication for all of them.
 */
import { assert } from "../../shared/assert.ts";
import type { Commit } from "../../shared/event/commit.ts";
import type { PushAnswer, PushResult } from "../../shared/wire/wire.ts";
import { type Answer, failure, type Reply } from "./answers.ts";
import type { LogInstance, PublicationAnswer, Published, Run } from "./edge-log.ts";
import type { ObjectHost } from "./edge-objects.ts";
import type { AppendOutcome, StreamInstance } from "./edge-stream.ts";
import { poisonOf } from "./poison.ts";

export interface PushBody {
  readonly log: string | undefined;
  readonly position: number | undefined;
  readonly mark: string | undefined;
  readonly commits: readonly Commit[];
}

export interface PushParts {
  readonly log: ObjectHost<LogInstance>;
  readonly stream: (streamId: string) => ObjectHost<StreamInstance>;
  /** Whether the Worker lives to see its next step. */
  readonly lives: () => boolean;
}

interface Part {
  readonly streamId: string;
  readonly commits: Commit[];
  readonly places: number[];
  outcome?: AppendOutcome;
}

/** One push under way in a Worker. */
export class Push {
  readonly #parts: PushParts;
  readonly #body: PushBody;
  readonly #reply: Reply<PushAnswer>;
  readonly #results: (PushResult | undefined)[];
  readonly #streams: readonly Part[];
  #failed: Answer<never> | undefined;

  constructor(parts: PushParts, body: PushBody, reply: Reply<PushAnswer>) {
    this.#parts = parts;
    this.#body = body;
    this.#reply = reply;
    this.#results = new Array<PushResult | undefined>(body.commits.length);
    this.#streams = this.#divide();
  }

  /** A device that follows a log must not have its commits taken into another one. */
  start(): void {
    const { log, position, mark } = this.#body;
    if (log === undefined && position === undefined) return this.#append(null);
    this.#parts.log.call<{ log: string }>(
      (instance, reply) => reply({ value: instance.follow({ log, position, mark }) }),
      (answer) => {
        if (!this.#parts.lives()) return;
        if ("error" in answer) this.#reply(answer);
        else this.#append(answer.value.log);
      },
    );
  }

  #divide(): Part[] {
    const parts = new Map<string, Part>();
    const refused = new Set<string>();
    for (const [place, commit] of this.#body.commits.entries()) {
      const { streamId } = commit;
      if (refused.has(streamId)) this.#results[place] = { status: "skipped", streamId };
      else if (poisonOf(commit.events) === "rejected") {
        refused.add(streamId);
        this.#results[place] = { status: "rejected", streamId, code: "invalid-request", detail: "The edge does not understand it." };
      } else {
        const part = parts.get(streamId) ?? { streamId, commits: [], places: [] };
        parts.set(streamId, part);
        part.commits.push(commit);
        part.places.push(place);
      }
    }
    return [...parts.values()];
  }

  #append(known: string | null): void {
    let left = this.#streams.length;
    if (left === 0) return this.#publish(known);
    for (const part of this.#streams) {
      this.#parts.stream(part.streamId).call<AppendOutcome>(
        (stream, reply) => stream.append(part.commits, "caller", reply),
        (answer) => {
          if ("error" in answer) this.#failed = answer;
          else part.outcome = answer.value;
          left--;
          if (left === 0 && this.#parts.lives()) this.#publish(known);
        },
      );
    }
  }

  #publish(known: string | null): void {
    const runs = this.#streams.flatMap(({ outcome }) => outcome?.run ?? []);
    if (runs.length === 0 && known !== null) return this.#finish(known, new Map());
    this.#parts.log.call<Published>(
      (log, reply) => reply({ value: log.publish(runs) }),
      (answer) => {
        if (!this.#parts.lives()) return;
        // Where the log can't be reached, the streams have committed all the same, and are told to publish by themselves.
        if ("error" in answer) return this.#finish(known, new Map());
        this.#finish(answer.value.log, byStream(runs, answer.value.answers));
      },
    );
  }

  #finish(log: string | null, answers: ReadonlyMap<string, PublicationAnswer>): void {
    for (const { streamId, places, outcome } of this.#streams) {
      if (outcome === undefined) continue;
      const told = outcome.run === null ? outcome.results : outcome.published(answers.get(streamId) ?? null);
      if (told === undefined) this.#failed = failure("unavailable");
      for (const [i, place] of places.entries()) this.#results[place] = told?.[i];
    }
    // What the others took stays taken: the same push sent again finds it as duplicates.
    if (this.#failed !== undefined) return this.#reply(this.#failed);
    const results = this.#results.filter((result) => result !== undefined);
    assert(results.length === this.#results.length, "every commit of a push is answered");
    this.#reply({ value: { log, results } });
  }
}

function byStream(runs: readonly Run[], answers: readonly PublicationAnswer[]): Map<string, PublicationAnswer> {
  const told = new Map<string, PublicationAnswer>();
  for (const [i, { streamId }] of runs.entries()) {
    const answer = answers[i];
    if (answer !== undefined) told.set(streamId, answer);
  }
  return told;
}
