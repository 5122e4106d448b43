/** The live feed for whoever has no WebSocket: server-sent events, connected again wherever they break off. */
import { EventSourceParserStream } from "eventsource-parser/stream";
import { backoff } from "../../shared/backoff.ts";
import { HeadwaterError, LogMismatchError, remedyOf, UnavailableError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { match } from "../../shared/wire/schema.ts";
import { confirmedEvent, errorFromProblem, type FeedQuery } from "../../shared/wire/wire.ts";
import { pause } from "../tools/pause.ts";
import { type EdgeOptions, errorFromResponse, queryOf } from "./edge-call.ts";

/** Without a sign of life for so many milliseconds a connection counts as broken: the edge gives one every 20 seconds. */
const SILENCE = 45_000;
const BACKOFF = { first: 300, longest: 10_000 };

interface Place {
  position: number;
  log: string | undefined;
}

/**
 * Events past a position as they come, for as long as somebody asks for the next.
 *
 * @throws the edge's refusal, where trying again would not change it
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
      const known = error instanceof HeadwaterError ? error : new UnavailableError("The live feed broke off.", {}, { cause: error });
      if (remedyOf(known.code) !== "retry" && known.code !== "unauthenticated") throw known;
      // A token that has expired on the way is asked for anew, once.
      if (known.code === "unauthenticated" && failures > 0) throw known;
      failures++;
      const wait = backoff(BACKOFF, failures, Math.random(), (known.details.retryAfter ?? 0) * 1000);
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
    const response = await send(`${url.replace(/\/+$/, "")}/feed${query}`, { headers, signal: ended });
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
    for await (const { event: kind, data, id } of messages) {
      switch (kind) {
        case "problem":
          throw errorFromProblem(JSON.parse(data)) ?? new UnavailableError();
        case "log": {
          const { log }: { log: string } = JSON.parse(data);
          if (place.log !== undefined && place.log !== log) throw new LogMismatchError(undefined, { log });
          place.log = log;
          break;
        }
        default: {
          const event = match(confirmedEvent, JSON.parse(data));
          if (!event.success) throw new UnavailableError("The edge's event is not one that this version understands.");
          place.position = Number(id);
          yield event.output;
        }
      }
    }
    throw new UnavailableError("The live feed broke off.");
  } finally {
    clearTimeout(silence);
    ending.abort();
  }
}
