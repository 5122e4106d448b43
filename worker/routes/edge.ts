/** The HTTP interface: the routes, and what the Worker checks before it calls an object. */
import { Hono } from "hono";
import { assert } from "../../shared/assert.ts";
import { ForbiddenError, HeadwaterError, InvalidRequestError, UnavailableError } from "../../shared/errors.ts";
import { assertNewEvents, type EventDefaults } from "../../shared/event/commit.ts";
import { parseStoreId, parseStreamId } from "../../shared/stream-id.ts";
import { type AppendAnswer, appendRequest, parseAppendRequest, parsePushRequest, type StoreHealth } from "../../shared/wire/wire.ts";
import { assertGranted, assertKnown, assertMay, assertMayPush, assertMayReadAll, type Principal, readable } from "../access/access.ts";
import { countRequest } from "../access/rate-limit.ts";
import { checkVariables } from "../access/variables.ts";
import { webPageOf } from "../access/web-pages.ts";
import type { EdgeEnv } from "../env.ts";
import { LogObject, type LogSettings } from "../log/log-object.ts";
import { UNBOUND } from "../log/notifier.ts";
import { appendOne, type Taken } from "../objects/append-one.ts";
import { callObject } from "../objects/calls.ts";
import { webSocketOf } from "../objects/platform.ts";
import { unwrap } from "../objects/refused.ts";
import { logRequest, logSettingsFault } from "../report/journal.ts";
import { problemResponse } from "../report/problem.ts";
import type { StreamRules } from "../stream/stream-decider.ts";
import { StreamObject } from "../stream/stream-object.ts";
import type { Subscriptions } from "../subscription/settings.ts";
import { SubscriptionObject } from "../subscription/subscription-object.ts";
import { assertFields, readJson } from "./body.ts";
import { commandRoute } from "./command-route.ts";
import { assertPassage } from "./deciders.ts";
import { deletionRoutes, errorOfMissing } from "./deletion-routes.ts";
import { checkEvents, readCommit } from "./event-checks.ts";
import { eventStream, isUpgrade, openSocket, wantsEventStream, withToken } from "./feed-connection.ts";
import { openApi } from "./openapi.ts";
import { assertPushSpelt, push } from "./push.ts";
import { FEED, feedQuery, headerNumber, LIST, NONE, pageLimit, parametersOf, STREAM, single, skipped, wholeNumber } from "./query.ts";
import { reconcileRoutes } from "./reconcile-routes.ts";
import { restoreRoutes } from "./restore-routes.ts";
import { completeSettings, type EdgeSettings } from "./settings.ts";
import { countAhead, subscriptionRoutes } from "./subscription-routes.ts";

/** A Worker's handler, and the classes that it exports. The classes have the settings of this edge. */
export interface Edge<E extends EdgeEnv = EdgeEnv> {
  fetch(request: Request, env: E, context?: ExecutionContext): Response | Promise<Response>;
  readonly LogObject: typeof LogObject<E>;
  readonly StreamObject: typeof StreamObject;
  readonly SubscriptionObject: typeof SubscriptionObject<E>;
}

export type Bindings<E> = {
  Bindings: E;
  Variables: {
    principal: Principal;
    store: string;
    /** Only of a route that names a stream. */
    streamId: string | undefined;
    request: Request;
    requestId: string;
    code: string | undefined;
    reason: string | undefined;
  };
};

/**
 * Makes an edge. A Worker exports it as its default, exports its `StreamObject` and `LogObject` too, and binds them as STREAMS and LOGS. If
 * the edge has subscriptions, the Worker also exports its `SubscriptionObject` and binds it as SUBSCRIPTIONS.
 *
 * @throws InvalidRequestError for settings that are not valid; `field` names the setting
 */
export function createEdge<E extends EdgeEnv = EdgeEnv>(settings: EdgeSettings<E> = {}): Edge<E> {
  const { basePath, authenticate, limits, eventTypes, checkEvery, deciders, subscriptions } = completeSettings(settings);
  const rules: StreamRules = { deciders, eventTypes, limits };
  const names = [...subscriptions.keys()];
  const app = new Hono<Bindings<E>>();

  app.onError((error, context) => {
    context.set("code", error instanceof HeadwaterError ? error.code : "unavailable");
    const { method, path } = context.req;
    const { store, requestId: request, streamId } = context.var;
    return problemResponse(error, { method, path, store, request }, { streamId });
  });
  app.notFound((context) => {
    const error = new InvalidRequestError(`No route has this path and method: see ${basePath}/openapi.json.`, { field: "path" });
    context.set("code", error.code);
    return problemResponse(error, {}, { status: 404 });
  });

  app.use("*", async (context, next) => {
    const began = Date.now();
    checkVariables(context.env);
    // Cloudflare's id of the request; a local edge has none.
    const request = context.req.header("cf-ray") ?? crypto.randomUUID();
    context.set("requestId", request);
    await next();
    const { method, path } = context.req;
    const { store, code, reason } = context.var;
    logRequest(context.env, { method, path, status: context.res.status, code, reason, duration: Date.now() - began, store, request });
  });

  app.use("*", async (context, next) => {
    const page = webPageOf(context.req.raw, context.env);
    if (page.kind === "refused" || page.kind === "preflight") context.set("reason", page.reason);
    if (page.kind === "refused")
      throw new ForbiddenError("Web pages of this origin may not use the store: add the origin to ALLOWED_ORIGINS.");
    if (page.kind === "preflight") return new Response(null, { status: 204, headers: page.headers });
    await next();
    // A page may read a WebSocket's response anyway, and only the runtime could make a copy of it.
    if (page.kind === "allowed" && webSocketOf(context.res) === null) {
      for (const [name, value] of Object.entries(page.headers)) context.header(name, value);
    }
    return undefined;
  });

  const routes = app.basePath(basePath);
  routes.get("/health", (context) => context.json({ status: "ok" }));
  routes.get("/openapi.json", (context) => context.json(openApi(names.length > 0, basePath)));

  routes.use("/v1/:store/*", async (context, next) => {
    // Otherwise no handler would get the appended events, and nobody would notice.
    if (names.length > 0 && context.env.SUBSCRIPTIONS === undefined) {
      logSettingsFault(UNBOUND);
      throw new UnavailableError(UNBOUND);
    }
    const request = withToken(context.req.raw);
    context.set("request", request);
    const principal = assertKnown(await authenticate(request, context.env));
    const store = parseStoreId(context.req.param("store"));
    await countRequest(request, context.env, store, principal.actor);
    assertGranted(principal, store);
    context.set("principal", principal);
    context.set("store", store);
    await next();
  });

  routes.post("/v1/:store/streams/:streamId", async (context) => {
    const { store, principal } = context.var;
    const streamId = parseStreamId(context.req.param("streamId"));
    context.set("streamId", streamId);
    assertPassage(principal, deciders, store, streamId, false);
    parametersOf(context.req, NONE);
    const body = await readJson(context.req.raw, limits.bodyBytes);
    assertFields(body, appendRequest);
    const request = parseAppendRequest(body);
    assertNewEvents(request.events);
    const checks = { eventTypes, limits, defaults: eventDefaults() };
    const commit = readCommit({ ...request, streamId }, checks);
    await checkEvents(commit, checks);
    const result = await appendOne(context.env, store, commit, principal.actor, false);
    return context.json(toAnswer(result), result.status === "duplicate" ? 200 : 201);
  });

  routes.get("/v1/:store/streams/:streamId", async (context) => {
    const { store, principal } = context.var;
    const streamId = parseStreamId(context.req.param("streamId"));
    context.set("streamId", streamId);
    assertMay(principal, "read", store, streamId);
    const parameters = parametersOf(context.req, STREAM);
    const direction = single(parameters, "direction") ?? "forwards";
    if (direction !== "forwards" && direction !== "backwards") {
      throw new InvalidRequestError('direction must be "forwards" or "backwards".', { field: "direction" });
    }
    const query = {
      from: wholeNumber(parameters, "from", 1),
      limit: pageLimit(parameters, limits.pageEvents, limits),
      direction,
      damaged: skipped(parameters),
    } as const;
    const name = `${store}/${streamId}`;
    const { page } = await callObject(
      () => context.env.STREAMS.getByName(name),
      async (stream) => unwrap(await stream.read(name, query)),
    ).catch(async (error: unknown) => {
      throw await errorOfMissing(context.env, store, error);
    });
    return json(page);
  });

  routes.get("/v1/:store/streams", async (context) => {
    const { store, principal } = context.var;
    const reach = readable(principal, store);
    const parameters = parametersOf(context.req, LIST);
    const category = single(parameters, "category");
    if (category !== undefined) parseStreamId(category, "category");
    const after = single(parameters, "after") ?? "";
    const query = { ...(category === undefined ? {} : { category }), after, limit: pageLimit(parameters, 100, limits) };
    return context.json(
      await callObject(
        () => context.env.LOGS.getByName(store),
        async (log) => unwrap(await log.listStreams(query, reach)),
      ),
    );
  });

  routes.post("/v1/:store/commits", async (context) => {
    const { store, principal } = context.var;
    assertMayPush(principal, store);
    parametersOf(context.req, NONE);
    const body = await readJson(context.req.raw, limits.bodyBytes);
    const request = parsePushRequest(body);
    assertPushSpelt(body);
    return context.json(await push(request, { ...rules, env: context.env, store, principal, defaults: eventDefaults() }));
  });

  routes.get("/v1/:store/feed", async (context) => {
    const { store, principal } = context.var;
    const reach = readable(principal, store);
    const { request } = context.var;
    const query = feedQuery(parametersOf(context.req, FEED), limits);
    const connection = { env: context.env, store, principal, request, query };
    if (isUpgrade(request)) return openSocket(connection, context.req.raw);
    if (wantsEventStream(request)) {
      const after = headerNumber(request, "last-event-id") ?? query.after;
      // The mark is still that of the address.
      const seen = query.mark === undefined ? query.seen : (query.seen ?? query.after);
      return eventStream({ ...connection, query: { ...query, after, seen } });
    }
    const { page } = await callObject(
      () => context.env.LOGS.getByName(store),
      async (log) => unwrap(await log.readPage(query, reach)),
    );
    return json(page);
  });

  routes.get("/v1/:store/health", async (context) => {
    const { store, principal } = context.var;
    assertMayReadAll(principal, store);
    parametersOf(context.req, NONE);
    const health = await callObject(
      () => context.env.LOGS.getByName(store),
      async (log) => unwrap(await log.health(store)),
    );
    const ahead = names.length === 0 ? {} : { subscriptionsAhead: await countAhead(context.env, store, names) };
    return context.json({ ...health, ...ahead } satisfies StoreHealth);
  });

  commandRoute(routes, rules);
  deletionRoutes(routes);
  restoreRoutes(routes, limits);
  reconcileRoutes(routes, limits);
  subscriptionRoutes(routes, { names, limits });

  class EdgeLog extends LogObject<E> {
    protected override settings(): LogSettings<E> {
      return { authenticate, limits, checkEvery, subscriptions: names };
    }
  }
  class EdgeStream extends StreamObject {
    protected override rules(): StreamRules {
      return rules;
    }
  }
  class EdgeSubscription extends SubscriptionObject<E> {
    protected override settings(): Subscriptions<E> {
      return subscriptions;
    }
  }
  return {
    fetch: (request, env, context) => app.fetch(request, env, context),
    LogObject: EdgeLog,
    StreamObject: EdgeStream,
    SubscriptionObject: EdgeSubscription,
  };
}

function toAnswer(result: Taken): AppendAnswer {
  assert(result.status !== "refused", "nothing was decided");
  const { streamId, firstVersion, version, position, status } = result;
  return { streamId, firstVersion, version, position, duplicate: status === "duplicate" };
}

function eventDefaults(): EventDefaults {
  return { newId: () => crypto.randomUUID(), occurredAt: new Date().toISOString() };
}

function json(text: string): Response {
  return new Response(text, { headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" } });
}
