/** The routes of a reconciliation: `shared/wire/reconcile.ts` has their order. They require `admin` on the whole store. */
import type { Hono } from "hono";
import { PayloadTooLargeError } from "../../shared/errors.ts";
import { type Limits, parseCount } from "../../shared/limits.ts";
import { parseStreamId } from "../../shared/stream-id.ts";
import { reconcileLog, reconcileStreams } from "../../shared/wire/reconcile.ts";
import { parseMessage } from "../../shared/wire/wire.ts";
import { assertMayAdminister } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import { callObject, type Retries, withRoom } from "../objects/calls.ts";
import { eachInFlight } from "../objects/in-flight.ts";
import { unwrap } from "../objects/refused.ts";
import type { ReconcileRequest } from "../stream/stream-reconcile.ts";
import { readJson } from "./body.ts";
import type { Bindings } from "./edge.ts";
import { INDEX, pageLimit, parametersOf, single } from "./query.ts";
import { callLog, recordedLinesOf, recordedRunsOf } from "./recorded-lines.ts";

/** Retries of a request, all calls together. */
const RETRIES = 4;

export function reconcileRoutes<E extends EdgeEnv>(app: Hono<Bindings<E>>, limits: Limits): void {
  app.use("/v1/:store/reconcile/*", async (context, next) => {
    assertMayAdminister(context.var.principal, context.var.store);
    await next();
  });

  app.post("/v1/:store/reconcile/log", async (context) => {
    const { store } = context.var;
    const { after, dryRun, accept, runs } = parseMessage(reconcileLog, await readJson(context.req.raw, limits.bodyBytes));
    const given = recordedRunsOf(runs, limits);
    return context.json(
      await callLog(context.env, store, (log) => withRoom(async () => unwrap(await log.reconcile(store, after, dryRun, accept, given)))),
    );
  });

  app.get("/v1/:store/reconcile/streams", async (context) => {
    const { store } = context.var;
    const parameters = parametersOf(context.req, INDEX);
    const [after, limit] = [single(parameters, "after") ?? "", pageLimit(parameters, 100, limits)];
    return context.json(await callLog(context.env, store, async (log) => unwrap(await log.indexedStreams(store, after, limit))));
  });

  app.post("/v1/:store/reconcile/streams", async (context) => {
    const { store } = context.var;
    const { dryRun, streams } = parseMessage(reconcileStreams, await readJson(context.req.raw, limits.bodyBytes));
    if (streams.length > limits.pushStreams) {
      throw new PayloadTooLargeError(`A request may reconcile at most ${limits.pushStreams} streams; this one has ${streams.length}.`, {
        field: "streams",
      });
    }
    const requests = streams.map(({ streamId, replaceFrom, firstVersion, events }, i) => {
      const field = `streams[${i}].`;
      const id = parseStreamId(streamId, `${field}streamId`);
      const from = parseCount(firstVersion, `${field}firstVersion`) ?? 1;
      const request: ReconcileRequest = {
        dryRun,
        replaceFrom,
        firstVersion: from,
        events: recordedLinesOf(id, from, events, limits, field),
      };
      return { name: `${store}/${id}`, request };
    });
    const retries: Retries = { left: RETRIES };
    const outcomes = await eachInFlight(requests, ({ name, request }) =>
      callObject(
        () => context.env.STREAMS.getByName(name),
        (stream) => withRoom(async () => unwrap(await stream.reconcile(name, request))),
        retries,
      ),
    );
    const failed = outcomes.find(({ error }) => error !== undefined);
    if (failed !== undefined) throw failed.error;
    return context.json({ streams: outcomes.map(({ value }) => value) });
  });
}
