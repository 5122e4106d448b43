/** Follows the feed without a WebSocket, by server-sent events. It connects again whenever the connection breaks. */
import { EventSourceParserStream } from "eventsource-parser/stream";
import { backoff } from "../../shared/backoff.ts";
import { HeadwaterError, LogMismatchError, remedyOf, UnavailableError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { match } from "../../shared/wire/schema.ts";
import { confirmedEvent, errorFromProblem, explain, type FeedQuery } from "../../shared/wire/wire.ts";
import { chunksOf } from "../tools/chunks-of.ts";
import { pause } from "../tools/pause.ts";
import { type EdgeOptions, errorFromResponse, queryOf } from "./edge-call.ts";

/** Milliseconds without any data after which a connection counts as broken. The edge sends a sign of life every 20 seconds. */
const SILENCE = 45_000;
/** Waits before it connects again, in milliseconds. */
const BACKOFF = { first: 300, longest: 10_000 };

const BROKEN = "The connection to the feed broke. It is opened again after a wait.";

interface Place {
  position: number;
  log: string | undefined;
}

/**
 * Yields events after a position as they come, until the caller stops iterating or `edge.signal` is aborted.
 *
 * @throws the edge's error, if trying again would not help
 */
export async function* tailFeed(
  edge: Omit<EdgeOptions, "timeout">,
  { after = 0, ...filter }: FeedQuery,
): AsyncGenerator<ConfirmedEvent, void, undefined> {
  const place: Place = { position: after, log: filter.log };
  const isEnded = () => edge.signal?.aborted === true;
  for (let failures = 0; !isEnded(); ) {
    try {
      for await (const event of connection(edge, filter, place)) {
        failures = 0;
        yield event;
      }
    } catch (error) {
      if (isEnded()) return;
      const known = error instanceof HeadwaterError ? error : new UnavailableError(BROKEN, {}, { cause: error });
      if (remedyOf(known.code) !== "retry" && known.code !== "unauthenticated") throw known;
      // A token may have expired on the way: the next connection calls the app's `token` again, once.
      if (known.code === "unauthenticated" && failures > 0) throw known;
      failures++;
      const wait = backoff(BACKOFF, failures, Math.random(), known.details.retryAfter);
      await pause(wait, edge.signal);
    }
  }
}

async function* connection(
  { url, token, fetch: send = fetch, signal }: Omit<EdgeOptions, "timeout">,
  filter: FeedQuery,
  place: Place,
): AsyncGenerator<ConfirmedEvent, void, undefined> {
  const ending = new AbortController();
  const ended = AbortSignal.any([ending.signal, ...(signal === undefined ? [] : [signal])]);
  let silence: ReturnType<typeof setTimeout> | undefined;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => ending.abort(), SILENCE);
  };
  try {
    alive();
    const bearer = await token?.();
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
    ending.abort();
  }
}
