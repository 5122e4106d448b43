/**
 * A caller who may give commands to the shelf and nothing else, and tries to have recorded what the shelf has not: events without a command,
 * beside another command, under a command that was given already, and commands that the decider refuses or does not know.
 */
import type { Commit } from "../../shared/event/commit.ts";
import { parseStreamId } from "../../shared/stream-id.ts";
import { timeAt } from "./ground.ts";
import { eventId } from "./identity.ts";
import { SHELF } from "./models/stock.ts";
import type { OutsideParts } from "./outside.ts";
import { Script } from "./script.ts";
import { signToken } from "./token.ts";

const MOST = 999;

export class Raider {
  readonly #parts: OutsideParts;
  readonly #script: Script;
  #made = 0;

  constructor(parts: OutsideParts) {
    this.#parts = parts;
    this.#script = new Script(parts.ground, parts.name, parts.network);
  }

  async run(pace: number): Promise<void> {
    const { ground, name, store, token } = this.#parts;
    const { HeadwaterError } = this.#script.client;
    const edge = this.#script.client.connectStore({
      url: `http://edge/v1/${store}`,
      token: () => signToken(name, token, ["read", "handle"]),
      retries: 0,
    });
    while (!ground.faults.isOver) {
      await this.#script.pause(ground.random.wait(pace));
      try {
        const commits = this.#commits();
        for (const commit of commits) ground.observe({ kind: "sent", store, commit });
        await edge.push(commits);
      } catch (error) {
        if (!(error instanceof HeadwaterError)) ground.observe({ kind: "uncaught", where: this.#script.name, error });
      }
    }
  }

  #commits(): readonly Commit[] {
    const { random } = this.#parts.ground;
    return Array.from({ length: random.between(1, 3) }, () => this.#commit());
  }

  #commit(): Commit {
    const { ground, name } = this.#parts;
    const { random } = ground;
    const number = ++this.#made;
    const key = `${name}-${number}`;
    const event = {
      id: eventId(name, number),
      type: "Taken",
      schemaVersion: 1,
      data: { key, units: MOST },
      metadata: {},
      occurredAt: timeAt(ground.scheduler.now),
    };
    const wanted = random.pick([1, MOST]);
    const command = {
      // One that was given before, now and then.
      id: eventId(`${name} commands`, random.chance(0.3) ? random.between(1, number) : number),
      decider: random.pick(["stock", "stock", "other"]),
      version: random.pick([1, 1, 2]),
      data: random.pick([
        { type: "Take", key, wanted, orFewer: random.chance(0.3) },
        { type: "Fill", key, units: 0 },
      ]),
    };
    const streamId = parseStreamId(SHELF);
    return { streamId, expectedVersion: "any", events: [event], ...(random.chance(0.7) && { command }) };
  }
}
