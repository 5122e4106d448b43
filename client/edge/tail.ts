/**
 * Follows the feed without a WebSocket: by server-sent events, or by pages over HTTP if no server-sent events come through. It connects again
 * whenever the connection breaks.
 *
 *     stream ──► first message in time ──► events, as they come
 *       ▲   └──► none in time, or failed again and again ──► pages, for a while ──┐
 *       └─────────────────────────────────────────────────────────────────────────┘
 *
 * The edge sends the first message at once. A proxy that collects answers (nginx with `proxy_buffering`, which may ignore the edge's
 * `X-Accel-Buffering: no`) holds it back, together with every event.
 */
import { EventSourceParserStream } from "eventsource-parser/stream";
import { backoff } from "../../shared/backoff.ts";
import { HeadwaterError, LogMismatchError, remedyOf, UnavailableError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { match } from "../../shared/wire/schema.ts";
import { confirmedEvent, errorFromProblem, explain, type FeedQuery } from "../../shared/wire/wire.ts";
import { chunksOf } from "../tools/chunks-of.ts";
import { pause } from "../tools/pause.ts";
import { createEdgeCall, type EdgeOptions, errorFromResponse, queryOf, readFeed } from "./edge-call.ts";

/** Milliseconds without any data after which a connection counts as broken. The edge sends a sign of life every 20 seconds. */
const SILENCE = 45_000;
/** Milliseconds in which the first message of a connection comes, if no proxy holds it back. */
const FIRST_MESSAGE = 10_000;
/** Milliseconds without a failure after which the next failure counts as the first. */
const STEADY = 10_000;
/** After so many failures in a row without a message, pages are read. */
const FAILURES = 3;
/** Milliseconds in which pages are read, before server-sent events are tried again. */
const PAGES_FOR = 300_000;
/** Bounds of the waits between two pages while there is no news, in milliseconds. */
const POLL = { first: 1_000, longest: 5_000 };
/** Bounds of the waits before it connects again, in milliseconds. */
const BACKOFF = { first: 300, longest: 10_000 };

const BROKEN = "The connection to the feed broke. It is opened again after a wait.";
const HELD_BACK = "No server-sent event came: a proxy may hold them back. The feed is read by pages instead.";

type Edge = Omit<EdgeOptions, "timeout">;

interface Place {
  position: number;
  log: string | undefined;
}

/** What came of a connection so far. */
interface Course {
  isHeard: boolean;
  isHeldBack: boolean;
}

/**
 * Yields events after a position as they come, until the caller stops iterating or `edge.signal` is aborted.
 *
 * @throws the edge's error, if trying again would not help
 */
export async function* tailFeed(edge: Edge, { after = 0, ...filter }: FeedQuery): AsyncGenerator<ConfirmedEvent, void, undefined> {
  const place: Place = { position: after, log: filter.log };
  const isEnded = () => edge.signal?.aborted === true;
  let pagesUntil = 0;
  let lastFailure = 0;
  for (let failures = 0; !isEnded(); ) {
    const course: Course = { isHeard: false, isHeldBack: false };
    try {
      yield* performance.now() < pagesUntil ? pages(edge, filter, place, pagesUntil, course) : stream(edge, filter, place, course);
    } catch (error) {
      if (isEnded()) return;
      const known = error instanceof HeadwaterError ? error : new UnavailableError(BROKEN, {}, { cause: error });
      if (remedyOf(known.code) !== "retry" && known.code !== "unauthenticated") throw known;
      const now = performance.now();
      if (course.isHeard && now - lastFailure > STEADY) failures = 0;
      // A token may have expired on the way: the next connection calls the app's `token` again, once.
      if (known.code === "unauthenticated" && failures > 0) throw known;
      failures++;
      lastFailure = now;
      if (!course.isHeard && (course.isHeldBack || failures >= FAILURES)) pagesUntil = now + PAGES_FOR;
      if (!course.isHeldBack) await pause(backoff(BACKOFF, failures, Math.random(), known.details.retryAfter), edge.signal);
    }
  }
}

/** Ends with an error, always: the stream of an edge has no end. */
async function* stream(
  { url, token, fetch: send = fetch, signal }: Edge,
  filter: FeedQuery,
  place: Place,
  course: Course,
): AsyncGenerator<ConfirmedEvent, never, undefined> {
  const ending = new AbortController();
  const ended = AbortSignal.any([ending.signal, ...(signal === undefined ? [] : [signal])]);
  let silence: ReturnType<typeof setTimeout> | undefined;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => ending.abort(), SILENCE);
  };
  let first: ReturnType<typeof setTimeout> | undefined;
  try {
    alive();
    const bearer = await token?.();
    const holdBack = () => {
      course.isHeldBack = true;
      ending.abort(new UnavailableError(HELD_BACK));
    };
    first = setTimeout(holdBack, FIRST_MESSAGE);
    const headers = { accept: "text/event-stream", ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }) };
    const query = queryOf({ ...filter, log: place.log, after: place.position });
    const response = await send(`${url}/feed${query}`, { headers, signal: ended });
    if (!response.ok || response.body === null) throw await errorFromResponse(response);
    const bytes = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, out) {
        alive();
        out.enqueue(chunk);
      },
    });
    const messages = response.body
      .pipeThrough(bytes)
      .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
      .pipeThrough(new EventSourceParserStream({ onError: "terminate" }));
    for await (const { event: kind, data, id } of chunksOf(messages)) {
      clearTimeout(first);
      course.isHeard = true;
      switch (kind) {
        case "problem":
          throw (
            errorFromProblem(JSON.parse(data)) ??
            new UnavailableError("The edge reported a problem that this version of Headwater does not understand. Update the app.")
          );
        case "log": {
          const { log }: { log: string } = JSON.parse(data);
          if (place.log !== undefined && place.log !== log) throw new LogMismatchError(undefined, { log });
          place.log = log;
          break;
        }
        default: {
          const event = match(confirmedEvent, JSON.parse(data));
          if (!event.success) {
            throw new UnavailableError(
              `This version of Headwater does not understand an event that the edge sent: ${explain(event.issues)} Update the app.`,
            );
          }
          place.position = Number(id);
          yield event.output;
        }
      }
    }
    throw new UnavailableError(BROKEN);
  } finally {
    clearTimeout(silence);
    clearTimeout(first);
    ending.abort();
  }
}

async function* pages(
  edge: Edge,
  filter: FeedQuery,
  place: Place,
  until: number,
  course: Course,
): AsyncGenerator<ConfirmedEvent, void, undefined> {
  const call = createEdgeCall({ ...edge, timeout: SILENCE });
  for (let quiet = 0; performance.now() < until && edge.signal?.aborted !== true; ) {
    const answer = await readFeed(call, { ...filter, log: place.log, after: place.position });
    if (answer.kind !== "message") throw answer.error;
    course.isHeard = true;
    const { log, events, position, head } = answer.message;
    place.log = log;
    for (const event of events) {
      place.position = event.position;
      yield event;
    }
    place.position = position;
    quiet = events.length > 0 ? 0 : quiet + 1;
    if (position >= head) await pause(backoff(POLL, quiet + 1, Math.random()), edge.signal);
  }
}
