/** One commit to one stream, which publishes it itself. */
import type { PendingCommand } from "../../shared/decider/command.ts";
import { CommandRefusedError, errorOf } from "../../shared/errors.ts";
import { type Commit, parseCommit } from "../../shared/event/commit.ts";
import type { Limits } from "../../shared/limits.ts";
import type { StreamId } from "../../shared/stream-id.ts";
import type { PushResult } from "../../shared/wire/wire.ts";
import type { EdgeEnv } from "../env.ts";
import { callObject, withRoom } from "./calls.ts";
import { unwrap } from "./refused.ts";

/** A commit for a command that its sender has not decided: it has no events, so nothing is filled in. */
export function undecidedCommit(streamId: StreamId, command: PendingCommand, limits: Limits): Commit {
  return parseCommit({ streamId, expectedVersion: "any", events: [], command }, { newId: () => "", occurredAt: "" }, limits);
}

export type Taken = Extract<PushResult, { status: "committed" | "duplicate" | "refused" }>;

/** @param isDecided whether the edge decides the commit's command. If not, it can't be refused by a decider */
export async function appendOne(env: EdgeEnv, store: string, commit: Commit, actor: string | null, isDecided: boolean): Promise<Taken> {
  const name = `${store}/${commit.streamId}`;
  const results = await callObject(
    () => env.STREAMS.getByName(name),
    async (stream) => {
      using outcome = await withRoom(async () => {
        const given = [name, [commit], actor, "stream"] as const;
        return unwrap(isDecided ? await stream.decide(...given) : await stream.append(...given));
      });
      return [...outcome.results] as PushResult[];
    },
  );
  const result = results[0];
  switch (result?.status) {
    case "committed":
    case "duplicate":
    case "refused":
      return result;
    case "conflict":
    case "rejected":
      // The detail does not name the stream yet: `aboutStream` adds it to both.
      throw errorOf(result.code, result.detail, { ...result, streamId: undefined });
    default:
      throw new Error("The stream returned no result for a commit.");
  }
}

/** @throws CommandRefusedError with what `decide` threw */
export function assertNotRefused(result: Taken, streamId: StreamId): Exclude<Taken, { status: "refused" }> {
  if (result.status !== "refused") return result;
  const { name, message, data } = result;
  throw new CommandRefusedError(message, { streamId, refusal: { name, message, data } });
}
