/** A bar on a terminal, plain lines elsewhere; both on standard error, so that standard output stays for the result. */
import cliProgress from "cli-progress";
import type { EdgeStore } from "../client/http.ts";
import { ForbiddenError } from "../client/index.ts";

const PLAIN_EVERY = 10_000;

export class Progress {
  readonly #bar: cliProgress.SingleBar | undefined;
  readonly #what: string;
  #said = 0;
  #count = 0;

  /** @param total in whatever unit `at` is told; left out where nobody knows */
  constructor(what: string, total: number | undefined) {
    this.#what = what;
    if (!process.stderr.isTTY || total === undefined) return;
    const format = `${what} {bar} {percentage}% | {count} | {duration_formatted}`;
    this.#bar = new cliProgress.SingleBar({ format, stream: process.stderr, hideCursor: true }, cliProgress.Presets.shades_classic);
    this.#bar.start(total, 0, { count: 0 });
  }

  /**
   * @param done of the total, in its unit
   * @param count of what the person thinks in
   */
  at(done: number, count: number): void {
    this.#count = count;
    if (this.#bar !== undefined) this.#bar.update(done, { count });
    else if (count - this.#said >= PLAIN_EVERY) this.#say();
  }

  end(): void {
    if (this.#bar !== undefined) this.#bar.stop();
    else if (this.#count > this.#said) this.#say();
  }

  #say(): void {
    this.#said = this.#count;
    console.error(`${this.#what}: ${this.#count}`);
  }
}

/** How many events there are to read; undefined for who may not read all of the store. */
export async function eventsIn(store: EdgeStore): Promise<number | undefined> {
  try {
    return (await store.health()).events;
  } catch (error) {
    if (error instanceof ForbiddenError) return undefined;
    throw error;
  }
}
