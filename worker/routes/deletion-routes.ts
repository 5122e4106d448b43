/** The route by which an operator deletes a store: `shared/wire/deletion.ts` has its answer. It requires `admin` on the whole store. */
import type { Hono } from "hono";
import { InvalidRequestError, StoreDeletedError, StreamNotFoundError } from "../../shared/errors.ts";
import type { StoreDeletion } from "../../shared/wire/deletion.ts";
import { assertMayAdminister } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import { callObject } from "../objects/calls.ts";
import { unwrap } from "../objects/refused.ts";
import type { Bindings } from "./edge.ts";
import { DELETION, parametersOf, single } from "./query.ts";

export function deletionRoutes<E extends EdgeEnv>(app: Hono<Bindings<E>>): void {
  app.delete("/v1/:store", async (context) => {
    const { store, principal } = context.var;
    assertMayAdminister(principal, store);
    const parameters = parametersOf(context.req, DELETION);
    const log = single(parameters, "log");
    const isDry = parseDryRun(single(parameters, "dryRun"));
    const deletion: StoreDeletion = await callObject(
      () => context.env.LOGS.getByName(store),
      async (stub) => unwrap(await stub.deleteStore(store, log, isDry)),
    );
    return context.json(deletion);
  });
}

/** Anything that is not understood deletes nothing. */
function parseDryRun(given: string | undefined): boolean {
  if (given === undefined || given === "false") return false;
  if (given === "true") return true;
  throw new InvalidRequestError('dryRun must be "true" or "false".', { field: "dryRun" });
}

/**
 * The error for a reader of a stream that has no events. Only the log knows if there is no such stream, or no such store any more.
 *
 * @param error what the stream answered
 */
export async function errorOfMissing(env: EdgeEnv, store: string, error: unknown): Promise<unknown> {
  if (!(error instanceof StreamNotFoundError)) return error;
  try {
    await callObject(
      () => env.LOGS.getByName(store),
      async (log) => unwrap(await log.follow({})),
    );
    return error;
  } catch (reason) {
    return reason instanceof StoreDeletedError ? reason : error;
  }
}
