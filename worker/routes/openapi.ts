/** `GET /openapi.json`, made from the schemas that check the messages, so that it can't say anything else. */
import { type ErrorCode, titleOf } from "../../shared/errors.ts";
import { DEFAULT_LIMITS, NAME_LENGTH } from "../../shared/limits.ts";
import { BEARER_PROTOCOL, FEED_PROTOCOL } from "../../shared/wire/feed-socket.ts";
import { expectedVersion, type Schema } from "../../shared/wire/schema.ts";
import * as wire from "../../shared/wire/wire.ts";
import { STATUS } from "../report/problem.ts";
import { jsonSchema } from "./json-schema.ts";

type Parameter = { name: string; in: "path" | "query" | "header"; required?: boolean; description: string; schema: object };

const STORE: Parameter = {
  name: "store",
  in: "path",
  required: true,
  description: "The store's id.",
  schema: { type: "string", pattern: "^[a-z0-9][a-z0-9-]{0,62}$" },
};
const STREAM: Parameter = {
  name: "streamId",
  in: "path",
  required: true,
  description: "The stream's id.",
  schema: { type: "string", pattern: "^[A-Za-z][A-Za-z0-9._:~-]{0,254}$" },
};

const SUBSCRIPTION: Parameter = {
  name: "name",
  in: "path",
  required: true,
  description: "The subscription's name.",
  schema: { type: "string" },
};
const STATUS_SCHEMA = describing(jsonSchema(wire.subscriptionStatus), {
  state: { type: "string", enum: ["running", "waiting", "stopped"] },
});
const NO_SUBSCRIPTION = {
  description: "invalid-request: The edge has no subscription of this name.",
  content: { "application/problem+json": { schema: jsonSchema(wire.problemDocument) } },
};
const ADMINISTRATORS = "For who has the action `admin` for all of the store.";

/** What no schema of the wire says: `parseCommit` checks it. */
const EVENTS = {
  type: "array",
  minItems: 1,
  maxItems: DEFAULT_LIMITS.commitEvents,
  items: {
    type: "object",
    properties: {
      id: { type: "string", format: "uuid", description: "The idempotency key. Default: a new one, so that sending again appends anew." },
      type: { type: "string", minLength: 1, maxLength: NAME_LENGTH, description: "Printable characters." },
      schemaVersion: {
        type: "integer",
        minimum: 1,
        description: "Default: the type's current version where the edge knows event types, else 1.",
      },
      data: { description: `Any JSON of at most ${DEFAULT_LIMITS.eventBytes} bytes, metadata included.` },
      metadata: { type: "object", properties: { correlationId: { type: "string" }, causationId: { type: "string" } } },
      occurredAt: { type: "string", format: "date-time", description: "In UTC. Default: the edge's time." },
    },
    required: ["type", "data"],
  },
};
const COMMIT = { expectedVersion: { ...jsonSchema(expectedVersion), default: "any" }, events: EVENTS };

const LIVE = `As a WebSocket, of the subprotocol \`${FEED_PROTOCOL}\` with the token beside it as \`${BEARER_PROTOCOL}<token>\`: each
\`{"pull":{"after":17}}\` is answered by one page, and \`{"auth":{"token":"…"}}\` by \`{"renewed":{"expiresAt":…}}\`; what goes wrong is sent as
\`{"problem":{…}}\`. As server-sent events, \`id\` is the position.`;

let document: ReturnType<typeof describe> | undefined;

/** @param hasSubscriptions what tells of them is left out where there are none; which there are is for administrators to know */
export function openApi(hasSubscriptions: boolean): object {
  document ??= describe();
  return hasSubscriptions ? { ...document, paths: { ...document.paths, ...subscriptionPaths() } } : document;
}

function describe() {
  return {
    openapi: "3.1.0",
    info: {
      title: "Headwater",
      version: String(wire.PROTOCOL_VERSION),
      description: "Append to streams with version conflict detection; read them, and the store's log in order.",
    },
    components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
    security: [{ bearer: [] }, {}],
    paths: {
      "/health": { get: { summary: "Whether the edge answers.", responses: { 200: { description: "It does." } } } },
      "/openapi.json": { get: { summary: "This document.", responses: { 200: { description: "OpenAPI 3.1." } } } },
      "/v1/{store}/streams/{streamId}": {
        parameters: [STORE, STREAM],
        post: {
          summary: "Append events to a stream: all of them or none.",
          requestBody: body(describing(jsonSchema(wire.appendRequest), COMMIT)),
          responses: {
            201: answer("Appended.", wire.appendAnswer),
            200: answer("They were there already.", wire.appendAnswer),
            ...problems("invalid-request", "version-conflict", "event-id-reused", "payload-too-large", "store-full"),
          },
        },
        get: {
          summary: "Read a stream.",
          parameters: [
            whole("from", "First version; backwards the last one."),
            whole("limit", "Events at most.", 1000),
            text("direction", "`forwards` or `backwards`."),
          ],
          responses: { 200: answer("A page of the stream.", wire.streamPage), ...problems("invalid-request", "stream-not-found") },
        },
      },
      "/v1/{store}/streams": {
        parameters: [STORE],
        get: {
          summary: "List streams by id.",
          parameters: [
            text("category", "Only this category."),
            text("after", "The id after which to go on."),
            whole("limit", "Streams at most.", 1000),
          ],
          responses: { 200: answer("A page of the list.", wire.streamList), ...problems("invalid-request") },
        },
      },
      "/v1/{store}/commits": {
        parameters: [STORE],
        post: {
          summary: "Push commits of many streams: each taken or refused on its own.",
          requestBody: body(
            describing(jsonSchema(wire.pushRequest), {
              commits: {
                type: "array",
                items: describing(jsonSchema(wire.pushRequest.entries.commits.item), { streamId: STREAM.schema, ...COMMIT }),
              },
            }),
          ),
          responses: {
            200: answer("One result for each commit, in order.", wire.pushAnswer),
            ...problems("invalid-request", "payload-too-large", "log-mismatch", "position-ahead", "store-full"),
          },
        },
      },
      "/v1/{store}/feed": {
        parameters: [STORE],
        get: {
          summary: "Read the log in position order: a page; or live, by WebSocket or as server-sent events.",
          description: LIVE,
          parameters: [
            { ...whole("after", "The position after which to go on."), schema: { type: "integer", minimum: 0 } },
            whole("limit", "Events at most.", 1000),
            text("log", "The log that is followed; another one is refused."),
            text("mark", "The log's mark at `seen`, as a page told it; a log with another history up to there is refused."),
            { ...whole("seen", "How far the log was followed. Default: `after`."), schema: { type: "integer", minimum: 0 } },
            several("within", "Only these streams and categories; may repeat."),
            several("category"),
            several("stream"),
            several("type"),
            text("correlation", "Only events of this correlation id, and the one whose id it is."),
            text("since", "Recorded at this time or later, ISO 8601 UTC."),
            text("until", "Recorded at this time or earlier, ISO 8601 UTC."),
            {
              name: "Last-Event-ID",
              in: "header",
              description: "With server-sent events, in the place of `after`.",
              schema: { type: "integer", minimum: 0 },
            },
          ],
          responses: {
            101: { description: "The live feed, where the request has `Upgrade: websocket`." },
            200: {
              description: "A page of the feed; the live feed where the request has `Accept: text/event-stream`.",
              content: { "application/json": { schema: jsonSchema(wire.feedPage) }, "text/event-stream": { schema: { type: "string" } } },
            },
            ...problems("invalid-request", "log-mismatch", "position-ahead", "payload-too-large"),
          },
        },
      },
      "/v1/{store}/health": {
        parameters: [STORE],
        get: {
          summary: "The log's id and size, and what it lacks.",
          responses: { 200: answer("As counted.", wire.storeHealth), ...problems("invalid-request") },
        },
      },
    },
  };
}

function subscriptionPaths(): object {
  return {
    "/v1/{store}/subscriptions": {
      parameters: [STORE],
      get: {
        summary: "Where the edge's subscriptions stand in this store.",
        description: ADMINISTRATORS,
        responses: {
          200: answerOf(
            "In the order of the edge's settings.",
            describing(jsonSchema(wire.subscriptionList), {
              subscriptions: { type: "array", items: STATUS_SCHEMA },
            }),
          ),
          ...problems("invalid-request"),
        },
      },
    },
    "/v1/{store}/subscriptions/{name}": {
      parameters: [STORE, SUBSCRIPTION],
      get: {
        summary: "Where a subscription stands, and what is set aside.",
        description: ADMINISTRATORS,
        parameters: [
          { ...whole("after", "The position after which to go on."), schema: { type: "integer", minimum: 0 } },
          whole("limit", "Events at most.", 1000),
        ],
        responses: {
          200: answerOf("With a page of the list.", describing(jsonSchema(wire.subscriptionDetail), { subscription: STATUS_SCHEMA })),
          ...problems("invalid-request"),
          404: NO_SUBSCRIPTION,
        },
      },
    },
    "/v1/{store}/subscriptions/{name}/resume": subscriptionAction("Go on, where it stopped; where it waits, at once."),
    "/v1/{store}/subscriptions/{name}/reset": subscriptionAction(
      "Hand over again what stands behind a position, of the log that is there now.",
      wire.resetRequest,
      "position-ahead",
    ),
    "/v1/{store}/subscriptions/{name}/replay": subscriptionAction(
      "Try events again that are set aside: the one at a position, or all.",
      wire.replayRequest,
    ),
  };
}

function subscriptionAction(summary: string, request?: Schema<unknown>, ...codes: ErrorCode[]): object {
  return {
    parameters: [STORE, SUBSCRIPTION],
    post: {
      summary,
      description: ADMINISTRATORS,
      ...(request === undefined ? {} : { requestBody: body(jsonSchema(request)) }),
      responses: { 200: answerOf("Where it stands now.", STATUS_SCHEMA), ...problems("invalid-request", ...codes), 404: NO_SUBSCRIPTION },
    },
  };
}

function body(schema: object): object {
  return { required: true, content: { "application/json": { schema } } };
}

/** The schema of an object with more said of some of its properties. */
function describing(schema: { properties?: object }, properties: object): object {
  return { ...schema, properties: { ...schema.properties, ...properties } };
}

function answer(description: string, schema: Schema<unknown>): object {
  return answerOf(description, jsonSchema(schema));
}

function answerOf(description: string, schema: object): object {
  return { description, content: { "application/json": { schema } } };
}

function problems(...codes: ErrorCode[]): Record<number, object> {
  const all: ErrorCode[] = [...codes, "unauthenticated", "forbidden", "too-many-requests", "unavailable"];
  const schema = jsonSchema(wire.problemDocument);
  const byStatus = Map.groupBy(all, (code) => STATUS[code]);
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [
      status,
      {
        description: same.map((code) => `${code}: ${titleOf(code)}`).join(" "),
        content: { "application/problem+json": { schema } },
      },
    ]),
  );
}

function whole(name: string, description: string, maximum?: number): Parameter {
  return { name, in: "query", description, schema: { type: "integer", minimum: 1, ...(maximum === undefined ? {} : { maximum }) } };
}

function text(name: string, description: string): Parameter {
  return { name, in: "query", description, schema: { type: "string" } };
}

function several(name: string, description = `Only this ${name}; may repeat.`): Parameter {
  return { name, in: "query", description, schema: { type: "array", items: { type: "string" } } };
}
