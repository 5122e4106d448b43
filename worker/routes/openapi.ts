/** `GET /openapi.json`, generated from the schemas that check the messages, so that the two can't differ. */
import * as v from "valibot";
import type { ErrorCode } from "../../shared/errors.ts";
import { DEFAULT_LIMITS, NAME_LENGTH } from "../../shared/limits.ts";
import { storeDeletion } from "../../shared/wire/deletion.ts";
import { FEED_PROTOCOL } from "../../shared/wire/feed-socket.ts";
import * as reconcile from "../../shared/wire/reconcile.ts";
import * as restore from "../../shared/wire/restore.ts";
import { expectedVersion, type Schema } from "../../shared/wire/schema.ts";
import * as wire from "../../shared/wire/wire.ts";
import { jsonSchema } from "./json-schema.ts";
import { answer, answerOf, body, describing, type Parameter, problems, several, text, whole } from "./openapi-parts.ts";

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
const ADMINISTRATORS = "Requires the action `admin` on the whole store.";

/** What no schema of the wire describes: `parseCommit` checks it. */
const EVENTS = {
  type: "array",
  minItems: 1,
  maxItems: DEFAULT_LIMITS.commitEvents,
  items: {
    type: "object",
    properties: {
      id: { type: "string", format: "uuid", description: "The idempotency key. Default: a new one; then sending again appends again." },
      type: { type: "string", minLength: 1, maxLength: NAME_LENGTH, description: "Printable characters." },
      schemaVersion: {
        type: "integer",
        minimum: 1,
        description: "Default: the type's current version if the edge knows event types, else 1.",
      },
      data: { description: `Any JSON of at most ${DEFAULT_LIMITS.eventBytes} bytes, metadata included.` },
      metadata: { type: "object", properties: { correlationId: { type: "string" }, causationId: { type: "string" } } },
      occurredAt: { type: "string", format: "date-time", description: "In UTC. Default: the edge's time." },
    },
    required: ["type", "data"],
  },
};
/** What `parseCommand` checks. */
const COMMAND = {
  id: { type: "string", format: "uuid", description: "Default: a new one; then sending again decides again." },
  decider: { type: "string", description: "The decider's name." },
  version: { type: "integer", minimum: 1, description: "The version of the decider." },
  data: { description: "The command, any JSON." },
};
const COMMIT = { expectedVersion: { ...jsonSchema(expectedVersion), default: "any" }, events: EVENTS };

const FORMS = `A feed socket is a WebSocket of the subprotocol \`${FEED_PROTOCOL}\`, with the token offered beside it as
\`bearer.<token>\`, or as \`base64url.bearer.<token in base64url>\` if it has a character that a subprotocol can't have. Each \`{"pull":{"after":17}}\` is answered by one page, and \`{"auth":{"token":"…"}}\` by
\`{"renewed":{"expiresAt":…}}\`; errors are sent as \`{"problem":{…}}\`. With server-sent events, \`id\` is the position.`;

let document: ReturnType<typeof describe> | undefined;

/**
 * @param hasSubscriptions if false, their routes and what counts them are left out. Their names are left out in any case: they are for administrators only
 * @param basePath what every path begins with
 */
export function openApi(hasSubscriptions: boolean, basePath: string): object {
  document ??= describe();
  return {
    ...document,
    ...(basePath === "" ? {} : { servers: [{ url: basePath }] }),
    ...(hasSubscriptions ? { paths: { ...document.paths, ...subscriptionPaths() } } : {}),
  };
}

function describe() {
  return {
    openapi: "3.1.0",
    info: {
      title: "Headwater",
      version: String(wire.PROTOCOL_VERSION),
      description: "Append to streams, with detection of version conflicts. Read streams, and the store's log in order.",
    },
    components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
    security: [{ bearer: [] }, {}],
    paths: {
      "/health": { get: { summary: "Check that the edge answers.", responses: { 200: { description: "It answers." } } } },
      "/openapi.json": { get: { summary: "Read this document.", responses: { 200: { description: "OpenAPI 3.1." } } } },
      "/v1/{store}/streams/{streamId}": {
        parameters: [STORE, STREAM],
        post: {
          summary: "Append events to a stream: all of them or none.",
          requestBody: body(describing(jsonSchema(wire.appendRequest), COMMIT)),
          responses: {
            201: answer("Appended.", wire.appendAnswer),
            200: answer("A duplicate: the events are already stored.", wire.appendAnswer),
            ...problems(
              ...(["invalid-request", "version-conflict", "event-id-reused", "payload-too-large", "store-full"] as const),
              ...(["command-required", "stream-diverged", "storage-damaged"] as const),
            ),
          },
        },
        get: {
          summary: "Read a stream.",
          parameters: [
            whole("from", "The first version; backwards, the last one."),
            whole("limit", "Events, at most.", 1000),
            text("direction", "`forwards` or `backwards`."),
            text("damaged", "`skip`: leave out versions that storage has damaged, and name them. Otherwise the page fails there."),
          ],
          responses: {
            200: answer("A page of the stream.", wire.streamPage),
            ...problems("invalid-request", "stream-not-found", "storage-damaged"),
          },
        },
      },
      "/v1/{store}/streams/{streamId}/commands": {
        parameters: [STORE, STREAM],
        post: {
          summary: "Give a command to the decider that the edge has for the stream's category.",
          description:
            "Requires the action `handle` or `append`. The command's id is its idempotency key: sent again, it is answered as before.",
          requestBody: body(describing(jsonSchema(wire.commandRequest), COMMAND)),
          responses: {
            201: answer("Decided: the events are recorded.", wire.commandAnswer),
            200: answer("A duplicate, with the events that were recorded for it; or a command that changes nothing.", wire.commandAnswer),
            ...problems(
              ...(["invalid-request", "command-refused", "decider-version", "payload-too-large", "store-full"] as const),
              ...(["stream-diverged", "storage-damaged"] as const),
            ),
          },
        },
      },
      "/v1/{store}/streams": {
        parameters: [STORE],
        get: {
          summary: "List streams by id.",
          parameters: [
            text("category", "Only this category."),
            text("after", "The stream id to continue after."),
            whole("limit", "Streams, at most.", 1000),
          ],
          responses: { 200: answer("A page of the list.", wire.streamList), ...problems("invalid-request") },
        },
      },
      "/v1/{store}/commits": {
        parameters: [STORE],
        post: {
          summary: "Push commits of many streams: each is accepted or rejected on its own.",
          requestBody: body(
            describing(jsonSchema(wire.pushRequest), {
              commits: {
                type: "array",
                items: describing(jsonSchema(wire.pushRequest.entries.commits.item), {
                  streamId: STREAM.schema,
                  ...COMMIT,
                  command: { type: "object", properties: COMMAND, required: ["id", "decider", "version"] },
                }),
              },
            }),
          ),
          responses: {
            200: answer("One result for each commit, in order.", wire.pushAnswer),
            ...problems(
              ...(["invalid-request", "payload-too-large", "log-mismatch", "position-ahead", "store-full"] as const),
              ...(["stream-diverged", "storage-damaged"] as const),
            ),
          },
        },
      },
      "/v1/{store}/feed": {
        parameters: [STORE],
        get: {
          summary: "Read the log in position order: one page, or as events come, on a feed socket or as server-sent events.",
          description: FORMS,
          parameters: [
            { ...whole("after", "The position to continue after."), schema: { type: "integer", minimum: 0 } },
            whole("limit", "Events, at most.", 1000),
            text("log", "The id of the log that you follow. If the store has another log, the request is rejected."),
            text(
              "mark",
              "The log's mark at `seen`, as a page had it. If the log has another history up to there, the request is rejected.",
            ),
            { ...whole("seen", "How far you have followed the log. Default: `after`."), schema: { type: "integer", minimum: 0 } },
            several("within", "Only these streams and categories; may repeat."),
            several("category"),
            several("stream"),
            several("type"),
            text("correlation", "Only events of this correlation id, and the event that has this id."),
            text("since", "Recorded at this time or later, ISO 8601 UTC."),
            text("until", "Recorded at this time or earlier, ISO 8601 UTC."),
            text("damaged", "`skip`: leave out positions that storage has damaged, and name them. Otherwise the page fails there."),
            {
              name: "Last-Event-ID",
              in: "header",
              description: "With server-sent events, instead of `after`.",
              schema: { type: "integer", minimum: 0 },
            },
          ],
          responses: {
            101: { description: "A feed socket, if the request has `Upgrade: websocket`." },
            200: {
              description: "A page of the feed; server-sent events if the request has `Accept: text/event-stream`.",
              content: { "application/json": { schema: jsonSchema(wire.feedPage) }, "text/event-stream": { schema: { type: "string" } } },
            },
            ...problems("invalid-request", "log-mismatch", "position-ahead", "payload-too-large", "storage-damaged"),
          },
        },
      },
      "/v1/{store}/health": healthPath("streams", v.omit(wire.storeHealth, ["subscriptionsAhead"])),
      ...deletionPaths(),
      ...restorePaths(),
      ...reconcilePaths(),
    },
  };
}

/** @param counted of what it counts those that disagree with the log */
function healthPath(counted: string, schema: Schema<unknown>): object {
  return {
    parameters: [STORE],
    get: {
      summary: `Read the log's id, its size, how many events it lacks, and how many ${counted} disagree with it.`,
      responses: { 200: answer("The counts.", schema), ...problems("invalid-request") },
    },
  };
}

/** `headwater delete` is its client. */
function deletionPaths(): object {
  return {
    "/v1/{store}": {
      parameters: [STORE],
      delete: {
        summary: "Delete the store, a portion at a time: send it again until its state is `deleted`.",
        description: `${ADMINISTRATORS} From the first request on, every other request to the store answers 410.`,
        parameters: [
          text("log", "The id of the store's log. Without it, or with another one, nothing is deleted."),
          { ...text("dryRun", "Delete nothing, and answer what would go."), schema: { type: "boolean", default: false } },
        ],
        responses: { 200: answer("What is left.", storeDeletion), ...problems("invalid-request", "log-mismatch") },
      },
    },
  };
}

/** A step of an operator's command, which may be sent again. */
function step(summary: string, request: Schema<unknown>, answered: Schema<unknown>, properties: object = {}) {
  return {
    parameters: [STORE],
    post: {
      summary,
      description: ADMINISTRATORS,
      requestBody: body(describing(jsonSchema(request), properties)),
      responses: { 200: answer("The step is done.", answered), ...problems("invalid-request", "payload-too-large", "store-full") },
    },
  };
}

function withStream(item: Schema<unknown>): object {
  return { type: "array", items: describing(jsonSchema(item), { streamId: STREAM.schema }) };
}

/** `headwater reconcile` is their client. */
function reconcilePaths(): object {
  return {
    "/v1/{store}/reconcile/log": step(
      "Repair a portion of the log from the streams, or from events of a backup.",
      reconcile.reconcileLog,
      reconcile.reconciledLog,
      { runs: withStream(restore.recordedRuns.item) },
    ),
    "/v1/{store}/reconcile/streams": {
      ...step("Repair streams from the log, or from events of a backup.", reconcile.reconcileStreams, reconcile.reconciledStreams, {
        streams: withStream(reconcile.reconcileStreams.entries.streams.item),
      }),
      get: {
        summary: "List the streams of the index, in the order of their ids. It may know streams that the log has lost.",
        description: ADMINISTRATORS,
        parameters: [text("after", "The id after which the page begins."), whole("limit", "Streams, at most.", 1000)],
        responses: { 200: answer("A page of ids.", reconcile.indexedStreams), ...problems("invalid-request") },
      },
    },
  };
}

/** `headwater restore` is their client. */
function restorePaths(): object {
  const begin = step("Begin to restore a backup, or continue with the same file.", restore.beginRestore, restore.restoreBegun);
  return {
    "/v1/{store}/restore": {
      ...begin,
      get: {
        summary: "Read which restore is under way.",
        description: ADMINISTRATORS,
        responses: { 200: answer("The restore; null if there is none.", restore.restoreStatus), ...problems("invalid-request") },
      },
    },
    "/v1/{store}/restore/streams": step("Restore streams, hidden until the end.", restore.restoreStreams, restore.restoredStreams, {
      streams: withStream(restore.restoreStreams.entries.streams.item),
    }),
    "/v1/{store}/restore/log": step("Restore the log, hidden until the end.", restore.restoreLog, restore.restoredLog, {
      runs: withStream(restore.restoreLog.entries.runs.item),
    }),
    "/v1/{store}/restore/finish": step("Show all that was restored.", restore.endRestore, restore.restoreFinished),
    "/v1/{store}/restore/abandon": step("Drop all that was restored.", restore.endRestore, restore.restoreAbandoned),
  };
}

function subscriptionPaths(): object {
  return {
    "/v1/{store}/health": healthPath("streams and subscriptions", wire.storeHealth),
    "/v1/{store}/subscriptions": {
      parameters: [STORE],
      get: {
        summary: "List the states of the edge's subscriptions in this store.",
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
        summary: "Read the state of a subscription, and its dead letters.",
        description: ADMINISTRATORS,
        parameters: [
          { ...whole("after", "The position to continue after."), schema: { type: "integer", minimum: 0 } },
          whole("limit", "Events, at most.", 1000),
        ],
        responses: {
          200: answerOf(
            "With a page of the dead letters.",
            describing(jsonSchema(wire.subscriptionDetail), { subscription: STATUS_SCHEMA }),
          ),
          ...problems("invalid-request"),
          404: NO_SUBSCRIPTION,
        },
      },
    },
    "/v1/{store}/subscriptions/{name}/resume": subscriptionAction("Resume a subscription that stopped; one that waits retries at once."),
    "/v1/{store}/subscriptions/{name}/reset": subscriptionAction(
      "Continue after a position of the log that the store has now: the handler gets the events after it again.",
      wire.resetRequest,
      "position-ahead",
    ),
    "/v1/{store}/subscriptions/{name}/replay": subscriptionAction(
      "Replay dead letters: the one at a position, or all.",
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
      responses: { 200: answerOf("Its state now.", STATUS_SCHEMA), ...problems("invalid-request", ...codes), 404: NO_SUBSCRIPTION },
    },
  };
}
