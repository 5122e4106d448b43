/** `POST /v1/{store}/streams/{streamId}/commands`: a command for the decider of the stream's category. */
import type { Hono } from "hono";
import { InvalidRequestError } from "../../shared/errors.ts";
import { categoryOf, parseStreamId } from "../../shared/stream-id.ts";
import { type CommandAnswer, commandRequest, parseMessage } from "../../shared/wire/wire.ts";
import type { EdgeEnv } from "../env.ts";
import { appendOne, assertNotRefused, undecidedCommit } from "../objects/append-one.ts";
import type { StreamRules } from "../stream/stream-decider.ts";
import { assertFields, readJson } from "./body.ts";
import { assertPassage } from "./deciders.ts";
import type { Bindings } from "./edge.ts";
import { parseGivenCommand } from "./event-checks.ts";
import { NONE, parametersOf } from "./query.ts";

export function commandRoute<E extends EdgeEnv>(app: Hono<Bindings<E>>, { deciders, limits }: StreamRules): void {
  app.post("/v1/:store/streams/:streamId/commands", async (context) => {
    const { store, principal } = context.var;
    const streamId = parseStreamId(context.req.param("streamId"));
    context.set("streamId", streamId);
    const isDecided = assertPassage(principal, deciders, store, streamId, true);
    parametersOf(context.req, NONE);
    const body = await readJson(context.req.raw, limits.bodyBytes);
    assertFields(body, commandRequest);
    const command = parseGivenCommand(parseMessage(commandRequest, body), limits, "", () => crypto.randomUUID());
    if (!isDecided) {
      const detail = `The edge has no decider for the category ${categoryOf(streamId)}: give it one in createEdge({ deciders }), or append events.`;
      throw new InvalidRequestError(detail, { field: "streamId" });
    }
    const result = await appendOne(context.env, store, undecidedCommit(streamId, command, limits), principal.actor, true);
    const { firstVersion, version, position, status, decided = [] } = assertNotRefused(result, streamId);
    const answer: CommandAnswer = { streamId, firstVersion, version, position, duplicate: status === "duplicate", events: decided };
    const isNew = status === "committed" && decided.length > 0;
    return context.json(answer, isNew ? 201 : 200);
  });
}
