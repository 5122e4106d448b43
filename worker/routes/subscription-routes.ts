/** The routes for operators of subscriptions: status, dead letters, resume, reset and replay. They require `admin` on the whole store. */
import type { Hono } from "hono";
import { InvalidRequestError } from "../../shared/errors.ts";
import type { Limits } from "../../shared/limits.ts";
import type { SubscriptionStatus } from "../../shared/subscription.ts";
import { parseMessage, replayRequest, resetRequest, type SubscriptionList } from "../../shared/wire/wire.ts";
import { assertMayAdminister } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import { type Origin, subscriptionsOf } from "../log/notifier.ts";
import { callObject } from "../objects/calls.ts";
import { eachInFlight } from "../objects/in-flight.ts";
import { unwrap } from "../objects/refused.ts";
import { problemResponse } from "../report/problem.ts";
import type { SubscriptionObject } from "../subscription/subscription-object.ts";
import { assertFields, readJson } from "./body.ts";
import type { Bindings } from "./edge.ts";
import { DEAD_LETTERS, NONE, pageLimit, parametersOf, wholeNumber } from "./query.ts";

interface Settings {
  readonly names: readonly string[];
  readonly limits: Limits;
}

export function subscriptionRoutes<E extends EdgeEnv>(app: Hono<Bindings<E>>, { names, limits }: Settings): void {
  // First of all, so that other callers cannot find out which subscriptions there are.
  app.use("/v1/:store/subscriptions/*", async (context, next) => {
    assertMayAdminister(context.var.principal, context.var.store);
    await next();
  });

  app.get("/v1/:store/subscriptions", async (context) => {
    parametersOf(context.req, NONE);
    const list: SubscriptionList = { subscriptions: await statusesOf(context.env, context.var.store, names) };
    return context.json(list);
  });

  app.use("/v1/:store/subscriptions/:name/*", async (context, next) => {
    if (names.includes(context.req.param("name"))) return next();
    const error = new InvalidRequestError("The edge has no subscription of this name.", { field: "name" });
    context.set("code", error.code);
    return problemResponse(error, {}, { status: 404 });
  });

  app.get("/v1/:store/subscriptions/:name", async (context) => {
    const parameters = parametersOf(context.req, DEAD_LETTERS);
    const after = wholeNumber(parameters, "after", 0) ?? 0;
    const limit = pageLimit(parameters, 100, limits);
    const { store } = context.var;
    return context.json(
      await call(context.env, store, context.req.param("name"), async (object, origin) => object.detail(origin, after, limit)),
    );
  });

  app.post("/v1/:store/subscriptions/:name/resume", async (context) => {
    const { store } = context.var;
    parametersOf(context.req, NONE);
    return context.json(await call(context.env, store, context.req.param("name"), async (object, origin) => object.resume(origin)));
  });

  app.post("/v1/:store/subscriptions/:name/reset", async (context) => {
    const { store } = context.var;
    const { position } = parseMessage(resetRequest, await readBody(context.req, resetRequest, limits));
    return context.json(
      await call(context.env, store, context.req.param("name"), async (object, origin) => unwrap(await object.reset(origin, position))),
    );
  });

  app.post("/v1/:store/subscriptions/:name/replay", async (context) => {
    const { store } = context.var;
    const { position } = parseMessage(replayRequest, await readBody(context.req, replayRequest, limits));
    return context.json(
      await call(context.env, store, context.req.param("name"), async (object, origin) => unwrap(await object.replay(origin, position))),
    );
  });
}

/** @throws the first error of one that can't be reached */
async function statusesOf(env: EdgeEnv, store: string, names: readonly string[]): Promise<SubscriptionStatus[]> {
  const outcomes = await eachInFlight(names, (name) => call(env, store, name, async (object, origin) => object.status(origin)));
  const failed = outcomes.find(({ error }) => error !== undefined);
  if (failed !== undefined) throw failed.error;
  return outcomes.flatMap(({ value }) => value ?? []);
}

/** How many subscriptions have read further than the log reaches. They have stopped for it. */
export async function countAhead(env: EdgeEnv, store: string, names: readonly string[]): Promise<number> {
  return (await statusesOf(env, store, names)).filter(({ state, position, head }) => state === "stopped" && position > head).length;
}

async function readBody(request: { readonly url: string; readonly raw: Request }, schema: { readonly entries: object }, limits: Limits) {
  parametersOf(request, NONE);
  const body = await readJson(request.raw, limits.bodyBytes);
  assertFields(body, schema);
  return body;
}

/** Calls the subscription's object. The log is called first: it knows its position when the subscription was new, and its head. */
async function call<T>(
  env: EdgeEnv,
  store: string,
  name: string,
  work: (object: DurableObjectStub<SubscriptionObject>, origin: Origin) => Promise<T>,
): Promise<T> {
  const origin = await callObject(
    () => env.LOGS.getByName(store),
    async (log) => log.originOf(store, name),
  );
  if (origin === null) {
    throw new Error("LOGS is bound to another LogObject: bind the class that createEdge returned together with these subscriptions.");
  }
  const known = unwrap(origin);
  return callObject(
    () => subscriptionsOf(env).getByName(`${store}/${name}`),
    (object) => work(object, known),
  );
}
