/** Shows a bar on a terminal, plain lines elsewhere. Both go to standard error, so that standard output has only the result. */
import cliProgress from "cli-progress";
import type { EdgeStore, StoreHealth } from "../client/http.ts";
import { ForbiddenError } from "../client/index.ts";
import { note } from "./output.ts";

const PLAIN_EVERY = 10_000;

export class Progress {
  readonly #bar: cliProgress.SingleBar | undefined;
  readonly #what: string;
  #printed = 0;
  #count = 0;

  /**
   * @param what is counted, e.g. "events exported"
   * @param total in the unit of `done` in `at`; undefined if it is not known
   */
  constructor(what: string, total: number | undefined) {
    this.#what = what;
    if (!process.stderr.isTTY || total === undefined) return;
    const format = `${what} {bar} {percentage}% | {count} | {duration_formatted}`;
    this.#bar = new cliProgress.SingleBar({ format, stream: process.stderr, hideCursor: true }, cliProgress.Presets.shades_classic);
    this.#bar.start(total, 0, { count: 0 });
  }

  /**
   * @param done of the total, in its unit
   * @param count of `what`
   */
  at(done: number, count: number): void {
    this.#count = count;
    if (this.#bar !== undefined) this.#bar.update(done, { count });
    else if (count - this.#printed >= PLAIN_EVERY) this.#print();
  }

  end(): void {
    if (this.#bar !== undefined) this.#bar.stop();
    else if (this.#count > this.#printed) this.#print();
  }

  #print(): void {
    this.#printed = this.#count;
    note(`${this.#what}: ${this.#count}`);
  }
}

/** Undefined if the caller may not read the whole store. */
export async function healthOf(store: EdgeStore): Promise<StoreHealth | undefined> {
  try {
    return await store.health();
  } catch (error) {
    if (error instanceof ForbiddenError) return undefined;
    throw error;
  }
}
