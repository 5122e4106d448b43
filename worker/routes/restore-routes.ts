/**
 * The routes of a restore from a backup: `shared/wire/restore.ts` has their order. They require `admin` on the whole store. Events are stored
 * as they were recorded: event types are not checked, because the backup may have events of any earlier version.
 */
import type { Hono } from "hono";
import { InvalidRequestError, PayloadTooLargeError } from "../../shared/errors.ts";
import { type Limits, parseCount } from "../../shared/limits.ts";
import { parseStreamId } from "../../shared/stream-id.ts";
import { beginRestore, endRestore, restoreLog, restoreStreams } from "../../shared/wire/restore.ts";
import { parseMessage } from "../../shared/wire/wire.ts";
import { assertMayAdminister } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import type { LogObject } from "../log/log-object.ts";
import { callObject, type Retries, withRoom } from "../objects/calls.ts";
import { eachInFlight } from "../objects/in-flight.ts";
import { unwrap } from "../objects/refused.ts";
import type { RestoredPart } from "../stream/stream-restore.ts";
import { readJson } from "./body.ts";
import type { Bindings } from "./edge.ts";
import { callLog, recordedLinesOf, recordedRunsOf } from "./recorded-lines.ts";

/** Retries of a request, all calls together: with the calls of 40 streams and one of the log it stays below 50. */
const RETRIES = 4;

export function restoreRoutes<E extends EdgeEnv>(app: Hono<Bindings<E>>, limits: Limits): void {
  app.use("/v1/:store/restore/*", async (context, next) => {
    assertMayAdminister(context.var.principal, context.var.store);
    await next();
  });

  app.get("/v1/:store/restore", async (context) =>
    context.json(await callLog(context.env, context.var.store, async (log) => unwrap(await log.restoreStatus()))),
  );

  app.post("/v1/:store/restore", async (context) => {
    const request = parseMessage(beginRestore, await readJson(context.req.raw, limits.bodyBytes));
    const restore = await callLog(context.env, context.var.store, async (log) => unwrap(await log.beginRestore(request)));
    return context.json({ restore });
  });

  app.post("/v1/:store/restore/streams", async (context) => {
    const { store } = context.var;
    const { restore, streams } = parseMessage(restoreStreams, await readJson(context.req.raw, limits.bodyBytes));
    const most = 2 * limits.pushStreams;
    if (streams.length > most) {
      throw new PayloadTooLargeError(`A request may restore at most ${most} streams; this one has ${streams.length}.`, {
        field: "streams",
      });
    }
    const parts = streams.map(({ streamId, version, firstVersion, events }, i) => {
      const field = `streams[${i}].`;
      const id = parseStreamId(streamId, `${field}streamId`);
      const from = parseCount(firstVersion, `${field}firstVersion`) ?? 1;
      const part: RestoredPart = { restore, version, firstVersion: from, events: recordedLinesOf(id, from, events, limits, field) };
      return { name: `${store}/${id}`, part };
    });
    const retries: Retries = { left: RETRIES };
    const { state } = await callLog(context.env, store, async (log) => unwrap(await log.restoreState(restore)), retries);
    if (state === undefined) throw new InvalidRequestError("The store knows no restore of this id: begin one.", { field: "restore" });
    const outcomes = await eachInFlight(parts, ({ name, part }) =>
      callObject(
        () => context.env.STREAMS.getByName(name),
        (stream) => withRoom(async () => unwrap(await stream.restore(name, state, part))),
        retries,
      ),
    );
    const failed = outcomes.find(({ error }) => error !== undefined);
    if (failed !== undefined) throw failed.error;
    return context.json({ streams: outcomes.map(({ value }) => value) });
  });

  app.post("/v1/:store/restore/log", async (context) => {
    const { restore, position, runs } = parseMessage(restoreLog, await readJson(context.req.raw, limits.bodyBytes));
    if (position === 0) throw new InvalidRequestError("position must be a whole number from 1.", { field: "position" });
    const restored = recordedRunsOf(runs, limits);
    const stage = (log: DurableObjectStub<LogObject>) => withRoom(async () => unwrap(await log.stageRestore(restore, position, restored)));
    return context.json(await callLog(context.env, context.var.store, stage));
  });

  app.post("/v1/:store/restore/finish", async (context) => {
    const { store } = context.var;
    const { restore } = parseMessage(endRestore, await readJson(context.req.raw, limits.bodyBytes));
    const finish = (log: DurableObjectStub<LogObject>) => withRoom(async () => unwrap(await log.finishRestore(restore, store)));
    return context.json(await callLog(context.env, store, finish));
  });

  app.post("/v1/:store/restore/abandon", async (context) => {
    const { restore } = parseMessage(endRestore, await readJson(context.req.raw, limits.bodyBytes));
    await callLog(context.env, context.var.store, async (log) => unwrap(await log.abandonRestore(restore)));
    return context.json({});
  });
}
