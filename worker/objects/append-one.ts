/** One commit to one stream, which publishes it itself. */
import { errorOf } from "../../shared/errors.ts";
import type { Commit } from "../../shared/event/commit.ts";
import type { PushResult } from "../../shared/wire/wire.ts";
import type { EdgeEnv } from "../env.ts";
import { callObject, withRoom } from "./calls.ts";
import { unwrap } from "./refused.ts";

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
