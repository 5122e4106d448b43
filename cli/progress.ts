/** A bar on a terminal, plain lines elsewhere; both on standard error, so that standard output stays for the result. */
import cliProgress from "cli-progress";

const PLAIN_EVERY = 10_000;

export class Progress {
  readonly #bar: cliProgress.SingleBar | undefined;
  readonly #what: string;
  #said = 0;
  #events = 0;

  /** @param total in whatever unit `at` is told; left out where nobody knows */
  constructor(what: string, total: number | undefined) {
    this.#what = what;
    if (!process.stderr.isTTY || total === undefined) return;
    const format = `${what} {bar} {percentage}% | {events} events | {eta_formatted} left`;
    this.#bar = new cliProgress.SingleBar({ format, stream: process.stderr, hideCursor: true }, cliProgress.Presets.shades_classic);
    this.#bar.start(total, 0, { events: 0 });
  }

  at(done: number, events: number): void {
    this.#events = events;
    if (this.#bar !== undefined) this.#bar.update(done, { events });
    else if (events - this.#said >= PLAIN_EVERY) this.#say();
  }

  end(): void {
    if (this.#bar !== undefined) this.#bar.stop();
    else if (this.#events > this.#said) this.#say();
  }

  #say(): void {
    this.#said = this.#events;
    console.error(`${this.#what}: ${this.#events} events`);
  }
}
