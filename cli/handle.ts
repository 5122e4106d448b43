/** `headwater handle`: gives a command to the decider that the edge has for the stream's category. */
import type { EdgeStore } from "../client/http.ts";
import { CommandRefusedError } from "../client/index.ts";
import { messageOf } from "../shared/thrown.ts";
import { CommandError } from "./command-error.ts";
import { jsonLine } from "./output.ts";

export interface HandleChoice {
  /** `NAME@VERSION` */
  readonly decider: string;
  readonly id?: string;
}

/**
 * @param data the command, as JSON
 * @returns the events that were decided, one JSON object a line, for the terminal
 * @throws CommandError if the decider refuses the command
 */
export async function handleCommand(store: EdgeStore, streamId: string, data: string, { decider, id }: HandleChoice): Promise<string> {
  const [, name, version] = /^(.+)@(\d+)$/.exec(decider) ?? [];
  if (name === undefined) throw new CommandError(`--decider must be a name and a version, e.g. stock@1, and not ${decider}.`);
  try {
    const {
      events,
      duplicate,
      version: at,
    } = await store.handle(streamId, { name, version: Number(version) }, parsed(data), id === undefined ? {} : { id });
    const lines = events.map((event) => jsonLine(event).trimEnd());
    if (lines.length === 0) return `The command changes nothing. ${streamId} is at version ${at}.`;
    return [...lines, `${streamId} is at version ${at}.${duplicate ? " The command was decided before." : ""}`].join("\n");
  } catch (error) {
    if (!(error instanceof CommandRefusedError)) throw error;
    const { name: kind, message, data: more } = error.refusal;
    throw new CommandError(`The command was refused. ${kind}: ${message}`, more === null ? {} : { list: [JSON.stringify(more)] });
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch (error) {
    throw new CommandError(`The command must be JSON, e.g. '{"take":1}'. ${messageOf(error)}`, { cause: error });
  }
}
