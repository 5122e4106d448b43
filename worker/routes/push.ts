/**
 * A push: commits of many streams at once. The streams work side by side, and each takes its commits in order. Then the log takes all of
 * it as one publication, since all streams of a store share the log.
 */
import { assert } from "../../shared/assert.ts";
import { divergedError } from "../../shared/edge/publication.ts";
import { errorFrom, HeadwaterError, InvalidRequestError, PayloadTooLargeError } from "../../shared/errors.ts";
import { type Commit, NEW_EVENT_FIELDS } from "../../shared/event/commit.ts";
import { isObject } from "../../shared/json.ts";
import { type PushAnswer, type PushRequest, type PushResult, pushRequest } from "../../shared/wire/wire.ts";
import type { Principal } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import type { LogObject } from "../log/log-object.ts";
import type { Followed, PublicationAnswer } from "../log/publication.ts";
import { callObject, type Retries, withRoom } from "../objects/calls.ts";
import { eachInFlight } from "../objects/in-flight.ts";
import { type Refused, unwrap } from "../objects/refused.ts";
import { logFault } from "../report/journal.ts";
import { isOverloaded } from "../report/platform-error.ts";
import type { EdgeDeciders } from "../stream/stream-decider.ts";
import type { AppendOutcome } from "../stream/stream-object.ts";
import { assertSpelt } from "./body.ts";
import { assertPassage } from "./deciders.ts";
import { type CommitRules, checkEvents, readCommit } from "./event-checks.ts";

/**
 * Retries of a push, all calls together: https://developers.cloudflare.com/workers/platform/limits/. With the default `pushStreams` a push
 * makes 46 of the 50 subrequests of the free plan, if each call counts: two for each stream, two of the log, and these. The others are
 * left for authentication.
 */
const RETRIES = 4;

export interface PushContext extends CommitRules {
  readonly env: EdgeEnv;
  readonly store: string;
  readonly principal: Principal;
  readonly deciders: EdgeDeciders;
}

interface StreamPart {
  readonly streamId: string;
  readonly commits: Commit[];
  /** The index of each commit in the push. */
  readonly places: number[];
  /** The edge decides a command of it. */
  isDecided: boolean;
}

type Outcome = Disposable & Omit<AppendOutcome, "results"> & { readonly results: readonly PushResult[] };

/** @param body of a push, as it was sent @throws InvalidRequestError for a field that is written in another way */
export function assertPushSpelt(body: unknown): void {
  assertSpelt(body, Object.keys(pushRequest.entries), "");
  for (const [place, commit] of listOf(body, "commits").entries()) {
    assertSpelt(commit, Object.keys(pushRequest.entries.commits.item.entries), `commits[${place}].`);
    for (const [i, event] of listOf(commit, "events").entries()) assertSpelt(event, NEW_EVENT_FIELDS, `commits[${place}].events[${i}].`);
  }
}

function listOf(value: unknown, name: string): readonly unknown[] {
  const list: unknown = isObject(value) ? value[name] : undefined;
  return Array.isArray(list) ? list : [];
}

export async function push(request: PushRequest, context: PushContext): Promise<PushAnswer> {
  const { env, store, limits } = context;
  if (request.commits.length > limits.pushCommits) {
    throw new PayloadTooLargeError(`A push may have at most ${limits.pushCommits} commits; this one has ${request.commits.length}.`, {
      field: "commits",
    });
  }
  const results = new Array<PushResult | undefined>(request.commits.length);
  const parts = await divide(request, context, results);
  if (parts.length > limits.pushStreams) {
    throw new PayloadTooLargeError(`A push may have commits of at most ${limits.pushStreams} streams; this one has ${parts.length}.`, {
      field: "commits",
    });
  }
  const log = () => env.LOGS.getByName(store);
  const retries: Retries = { left: RETRIES };
  const known = await followedLog(log, request, retries);
  const outcomes = await eachInFlight(parts, (part) =>
    callObject(
      () => env.STREAMS.getByName(`${store}/${part.streamId}`),
      (stream) =>
        withRoom(async () => {
          const given = [`${store}/${part.streamId}`, part.commits, context.principal.actor, "caller"] as const;
          return unwrap(part.isDecided ? await stream.decide(...given) : await stream.append(...given)) as unknown as Outcome;
        }),
      retries,
    ),
  );
  let id: string | null;
  let diverged: HeadwaterError | undefined;
  try {
    const runs = outcomes.flatMap((outcome) => outcome.value?.run ?? []);
    const published = await publish(log, store, runs, known, retries);
    id = published.log;
    for (const [i, part] of parts.entries()) {
      const answer = published.answers.get(part.streamId);
      if (answer?.kind === "diverged") diverged ??= divergedError(part.streamId, answer.version);
      const taken = outcomes[i]?.value?.results.map((result) => withPosition(result, answer)) ?? [];
      for (const [at, place] of part.places.entries()) results[place] = taken[at];
    }
    if (published.isReported) await eachInFlight(outcomes, ({ value }) => report(value, published.answers));
    if (published.refused !== undefined) throw errorFrom(published.refused);
  } finally {
    for (const { value } of outcomes) value?.[Symbol.dispose]();
  }
  // The other streams keep what they took: if the same push is sent again, those commits are duplicates.
  const failed = outcomes.find((outcome) => outcome.error !== undefined);
  if (failed !== undefined) throw failed.error;
  if (diverged !== undefined) throw diverged;
  return { log: id, results: results.map((result) => result ?? missing()) };
}

/** Reports the log's answer to a stream. A stream that gets no report queries the log by its alarm. */
async function report(outcome: Outcome | undefined, answers: Published["answers"]): Promise<void> {
  const run = outcome?.run ?? null;
  if (run === null) return;
  try {
    await outcome?.published(answers.get(run.streamId) ?? null);
  } catch (error) {
    logFault("published", error);
  }
}

function withPosition(result: PushResult, answer: PublicationAnswer | undefined): PushResult {
  if (!("position" in result) || result.position !== null || answer?.kind !== "published") return result;
  const { firstVersion, version } = result;
  // A command that changes nothing has no event.
  if (firstVersion > version) return result;
  const span = answer.spans.find((item) => item.firstVersion <= firstVersion && firstVersion <= item.lastVersion);
  return span === undefined ? result : { ...result, position: span.firstPosition + (firstVersion - span.firstVersion) };
}

/** Groups the commits by stream. Commits that no stream needs to see get their results at once. */
async function divide({ commits }: PushRequest, context: PushContext, results: (PushResult | undefined)[]): Promise<StreamPart[]> {
  const parts = new Map<string, StreamPart>();
  const refused = new Set<string>();
  // In parallel: a schema may wait for something.
  const readings = await Promise.allSettled(commits.map((given, place) => readAllowed(given, context, `commits[${place}].`)));
  for (const [place, reading] of readings.entries()) {
    const given = commits[place]?.streamId;
    const streamId = typeof given === "string" ? given : "";
    if (refused.has(streamId)) {
      results[place] = { status: "skipped", streamId };
      continue;
    }
    if (reading.status === "rejected") {
      const error: unknown = reading.reason;
      if (!(error instanceof HeadwaterError)) throw error;
      refused.add(streamId);
      results[place] = { status: "rejected", streamId, code: error.code, detail: error.message, field: error.details.field };
      continue;
    }
    let part = parts.get(streamId);
    if (part === undefined) {
      part = { streamId, commits: [], places: [], isDecided: false };
      parts.set(streamId, part);
    }
    part.commits.push(reading.value.commit);
    part.isDecided ||= reading.value.isDecided;
    part.places.push(place);
  }
  return [...parts.values()];
}

const NO_EVENTS = "A commit must have at least one event: the edge has no decider that could decide its command.";

/** Checks the access first: a caller that may not append to a stream learns nothing about the events that it accepts. */
async function readAllowed(given: PushRequest["commits"][number], context: PushContext, field: string) {
  const commit = readCommit(given, context, field);
  const isDecided = assertPassage(context.principal, context.deciders, context.store, commit.streamId, commit.command !== undefined);
  // What the device expects is not recorded unless the edge decides the same: it may be of another version of the app.
  if (!isDecided && commit.events.length === 0) throw new InvalidRequestError(NO_EVENTS, { field: `${field}events` });
  if (!isDecided) await checkEvents(commit, context, field);
  return { commit, isDecided };
}

/** Checks that the store has the log that the device follows: no other log may take its commits. Null if the push names no log. */
async function followedLog(
  log: () => DurableObjectStub<LogObject>,
  { log: id, position, mark }: Followed,
  retries: Retries,
): Promise<string | null> {
  if (mark !== undefined && position === undefined) {
    throw new InvalidRequestError("mark needs position: send the position that the mark is of.", { field: "position" });
  }
  if (id === undefined && position === undefined) return null;
  const followed = await callObject(log, async (stub) => unwrap(await stub.follow({ log: id, position, mark })), retries);
  return followed.log;
}

interface Published extends Partial<Refused> {
  /** Null if the push did not name the log, and the log can't be reached either: the streams took the commits all the same. */
  readonly log: string | null;
  /** By stream. */
  readonly answers: ReadonlyMap<string, PublicationAnswer>;
  /** Whether the streams get a report. If it has no answer for a stream's run, the stream publishes the run itself. */
  readonly isReported: boolean;
}

/** One publication for all runs. Without runs the log is only queried for its id, if that is not `known` yet. */
async function publish(
  log: () => DurableObjectStub<LogObject>,
  store: string,
  runs: Parameters<LogObject["publish"]>[0],
  known: string | null,
  retries: Retries,
): Promise<Published> {
  if (runs.length === 0 && known !== null) return { log: known, answers: new Map(), isReported: false };
  try {
    const published = await callObject(log, (stub) => stub.publish(runs, store), retries);
    // The streams publish what they took themselves then, and are refused.
    if (published.refused !== undefined) return { log: null, answers: new Map(), isReported: true, refused: published.refused };
    const answers = new Map(runs.map(({ streamId }, i) => [streamId, published.answers[i] ?? missing()]));
    return { log: published.log, answers, isReported: true };
  } catch (error) {
    logFault("publish", error);
    // The streams have committed. They would all call an overloaded log at once, so they are left to their alarms.
    return { log: known, answers: new Map(), isReported: !isOverloaded(error) };
  }
}

function missing(): never {
  assert(false, "every commit and every run is answered");
}
