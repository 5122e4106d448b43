/**
 * A Durable Object as its callers see it: it wakes when it is called, it may lose its memory at any moment, and a call to it may be lost on
 * the way there or back. What it has written stays written, and no answer leaves before the write (the platform's output gate).
 */
import { HeadwaterError, UnavailableError } from "../../shared/errors.ts";
import type { Reply } from "./answers.ts";
import type { Ground } from "./ground.ts";

type Work<I, T> = (instance: I, reply: Reply<T>) => void;

/** The object went away during the call: what it was asked for may be done or not. */
class WentAway extends UnavailableError {
  constructor() {
    super("The object went away.");
  }
}

export class ObjectHost<I> {
  /** Nobody can reach it. */
  isOutOfReach = false;
  readonly #ground: Ground;
  readonly #wake: (isCurrent: () => boolean) => I;
  readonly #onCrash: () => void;
  #instance: I | undefined;
  #wakes = 0;
  readonly #open = new Set<() => void>();

  /** @param wake makes the object anew out of what it has stored */
  constructor(ground: Ground, wake: (isCurrent: () => boolean) => I, onCrash: () => void = () => undefined) {
    this.#ground = ground;
    this.#wake = wake;
    this.#onCrash = onCrash;
  }

  instance(): I {
    if (this.#instance === undefined) {
      const wakes = ++this.#wakes;
      this.#instance = this.#wake(() => this.#wakes === wakes && this.#instance !== undefined);
    }
    return this.#instance;
  }

  /** Memory is lost, and with it every call under way. */
  crash(): void {
    this.#instance = undefined;
    const open = [...this.#open];
    this.#open.clear();
    for (const fail of open) fail();
    this.#onCrash();
  }

  /** As `worker/objects/calls.ts`: one that went away is tried once more. */
  call<T>(work: Work<I, T>, reply: Reply<T>): void {
    const epoch = this.#ground.epoch();
    this.#call(epoch, work, (answer) => {
      if ("error" in answer && answer.error instanceof WentAway) this.#call(epoch, work, reply);
      else reply(answer);
    });
  }

  /** @param epoch when it was called: what was under way before an operator put other data there does not reach them */
  #call<T>(epoch: number, work: Work<I, T>, reply: Reply<T>): void {
    const { scheduler, random, faults } = this.#ground;
    const lost = faults.strikes("lose-call") ? random.pick(["there", "back"]) : undefined;
    const fail = () => scheduler.after(random.between(1, 40), () => reply({ error: new WentAway() }));
    scheduler.after(random.between(1, 4), () => {
      if (this.isOutOfReach || lost === "there" || epoch !== this.#ground.epoch()) return fail();
      if (this.#crashes()) return fail();
      this.#open.add(fail);
      this.#perform(work, (answer) => {
        if (!this.#open.delete(fail)) return;
        if (this.#crashes() || lost === "back") return fail();
        scheduler.after(random.between(1, 4), () => reply(answer));
      });
    });
  }

  #perform<T>(work: Work<I, T>, reply: Reply<T>): void {
    try {
      work(this.instance(), reply);
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      reply({ error });
    }
  }

  #crashes(): boolean {
    if (!this.#ground.faults.strikes("crash-object")) return false;
    this.crash();
    return true;
  }
}
