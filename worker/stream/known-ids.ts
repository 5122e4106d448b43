/** The ids of a stream's events, and of the commands that they were decided for. They are built at the first append after a wake. */
import { assert } from "../../shared/assert.ts";
import { commandIdOf } from "../../shared/decider/command.ts";
import type { EventBody } from "../../shared/event/event.ts";
import type { Places } from "../../shared/places.ts";
import { idOf, parseContent } from "../objects/run-text.ts";
import type { StreamRuns } from "./stream-runs.ts";

/** What the content of an event with a command's id has somewhere. Data may have it, too. */
const MARK = '"$commandId":"';

export class KnownIds {
  readonly #versions = new Map<string, number>();
  readonly #commands = new Map<string, Places>();

  constructor(runs: StreamRuns) {
    let version = 0;
    for (const { lines } of runs.from()) {
      for (const { content } of lines) {
        this.#versions.set(idOf(content), ++version);
        if (content.includes(MARK)) this.#addCommand(commandIdOf(parseContent(content)), version);
      }
    }
    assert(version === runs.version, "the runs of a stream have its versions without a gap");
  }

  /** The version of the event that has an id. */
  versionOf(eventId: string): number | undefined {
    return this.#versions.get(eventId);
  }

  /** The versions of the events that were decided for a command. */
  ofCommand(commandId: string): Places | undefined {
    return this.#commands.get(commandId);
  }

  add(event: EventBody, version: number): void {
    this.#versions.set(event.id, version);
    this.#addCommand(commandIdOf(event), version);
  }

  #addCommand(commandId: string | undefined, version: number): void {
    if (commandId === undefined) return;
    const first = this.#commands.get(commandId)?.first ?? version;
    this.#commands.set(commandId, { first, last: version });
  }
}
