/**
 * A push: commits of many streams at once. Streams go side by side, each stream's commits in order; what they took then
 * reaches the log as one publication, since the log is what all streams of a store share.
 */
import { assert } from "../shared/assert.ts";
import { type Commit, type EventDefaults, parseCommit } from "../shared/commit.ts";
import { sentenceOf } from "../shared/error-titles.ts";
import { HeadwaterError, InvalidRequestError, PayloadTooLargeError } from "../shared/errors.ts";
import type { Limits } from "../shared/limits.ts";
import type { PushAnswer, PushRequest, PushResult } from "../shared/wire.ts";
import { assertMay, type Principal } from "./access.ts";
import { callObject } from "./call-object.ts";
import type { EdgeEnv } from "./env.ts";
import { logFault } from "./journal.ts";
import type { Followed, LogObject, PublicationAnswer } from "./log-object.ts";
import { unwrap } from "./refused.ts";
import type { AppendOutcome } from "./stream-object.ts";

/** Requests to objects in flight: the platform allows six connections. */
const IN_FLIGHT = 6;

export interface PushContext {
  readonly env: EdgeEnv;
  readonly store: string;
  readonly principal: Principal;
  readonly limits: Limits;
  readonly defaults: EventDefaults;
}

interface StreamPart {
  readonly streamId: string;
  readonly commits: Commit[];
  /** Where in the push each commit stands. */
  readonly places: number[];
}

type Outcome = Disposable & AppendOutcome;

export async function push(request: PushRequest, context: PushContext): Promise<PushAnswer> {
  const { env, store, limits } = context;
  if (request.commits.length > limits.pushCommits) {
    throw new PayloadTooLargeError(`A push has at most ${limits.pushCommits} commits.`, { field: "commits" });
  }
  const results = new Array<PushResult | undefined>(request.commits.length);
  const parts = divide(request, context, results);
  if (parts.length > limits.pushStreams) {
    throw new PayloadTooLargeError(`A push names at most ${limits.pushStreams} streams; this one names ${parts.length}.`, {
      field: "commits",
    });
  }
  const log = () => env.LOGS.getByName(store);
  const known = await followedLog(log, request);
  const outcomes = await eachInFlight(parts, (part) =>
    callObject(
      () => env.STREAMS.getByName(`${store}/${part.streamId}`),
      async (stream) =>
        unwrap(await stream.append(`${store}/${part.streamId}`, part.commits, context.principal.actor, "caller")) as unknown as Outcome,
    ),
  );
  let id: string | null;
  try {
    const runs = outcomes.flatMap((outcome) => outcome.value?.run ?? []);
    const published = await publish(log, runs, known);
    id = published.log;
    const { answers } = published;
    await eachInFlight(
      parts.map((part, i) => ({ part, outcome: outcomes[i]?.value })),
      async ({ part, outcome }) => {
        if (outcome === undefined) return;
        const told = outcome.run === null ? outcome.results : await outcome.published(answers.get(part.streamId) ?? null);
        for (const [i, place] of part.places.entries()) results[place] = told[i];
      },
    );
  } finally {
    for (const { value } of outcomes) value?.[Symbol.dispose]();
  }
  // What the others took stays taken: the same push sent again finds it as duplicates.
  const failed = outcomes.find((outcome) => outcome.error !== undefined);
  if (failed !== undefined) throw failed.error;
  return { log: id, results: results.map((result) => result ?? missing()) };
}

/** The commits by stream; those that no stream need look at are answered at once. */
function divide(
  { commits }: PushRequest,
  { store, principal, limits, defaults }: PushContext,
  results: (PushResult | undefined)[],
): StreamPart[] {
  const parts = new Map<string, StreamPart>();
  const refused = new Set<string>();
  for (const [place, given] of commits.entries()) {
    const streamId = typeof given.streamId === "string" ? given.streamId : "";
    if (refused.has(streamId)) {
      results[place] = { status: "skipped", streamId };
      continue;
    }
    try {
      const commit = parseCommit(given, defaults, limits, `commits[${place}].`);
      assertMay(principal, "append", store, commit.streamId);
      let part = parts.get(streamId);
      if (part === undefined) {
        part = { streamId, commits: [], places: [] };
        parts.set(streamId, part);
      }
      part.commits.push(commit);
      part.places.push(place);
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      refused.add(streamId);
      results[place] = { status: "rejected", streamId, code: error.code, detail: sentenceOf(error), field: error.details.field };
    }
  }
  return [...parts.values()];
}

/** A device that follows a log must not have its commits taken into another one. Null where it says nothing of what it follows. */
async function followedLog(log: () => DurableObjectStub<LogObject>, { log: id, position, mark }: Followed): Promise<string | null> {
  if (mark !== undefined && position === undefined) {
    throw new InvalidRequestError("A mark stands beside the position that it is of.", { field: "position" });
  }
  if (id === undefined && position === undefined) return null;
  const followed = await callObject(log, async (stub) => unwrap(await stub.follow({ log: id, position, mark })));
  return followed.log;
}

/**
 * One publication for all; without runs the log is asked for its id alone, where that is not known yet.
 *
 * @param known the log's id; null where nobody named it, and in the answer where the log can't be reached either: the
 *   streams took the commits all the same
 */
async function publish(
  log: () => DurableObjectStub<LogObject>,
  runs: Parameters<LogObject["publish"]>[0],
  known: string | null,
): Promise<{ log: string | null; answers: ReadonlyMap<string, PublicationAnswer> }> {
  if (runs.length === 0 && known !== null) return { log: known, answers: new Map() };
  try {
    const published = await callObject(log, (stub) => stub.publish(runs));
    return { log: published.log, answers: new Map(runs.map(({ streamId }, i) => [streamId, published.answers[i] ?? missing()])) };
  } catch (error) {
    // The streams have committed; each is told that it has to publish by itself.
    logFault("publish", error);
    return { log: known, answers: new Map() };
  }
}

async function eachInFlight<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<{ value?: R; error?: unknown }[]> {
  const outcomes: { value?: R; error?: unknown }[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      const item = items[at] as T;
      try {
        outcomes[at] = { value: await work(item) };
      } catch (error) {
        outcomes[at] = { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, items.length) }, worker));
  return outcomes;
}

function missing(): never {
  assert(false, "every commit and every run is answered");
}
