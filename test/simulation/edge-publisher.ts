/**
 * Publishes a stream's events to its log, as `worker/stream/publisher.ts` does. One publication is in flight; events that are committed
 * meanwhile go into the next one. After a wake it guesses how much of the stream the log has, and the log's answer corrects the guess.
 */
import type { Position } from "../../shared/order.ts";
import type { Answer } from "./answers.ts";
import type { LogInstance, PublicationAnswer, Published, Run } from "./edge-log.ts";
import type { ObjectHost } from "./edge-objects.ts";
import type { StreamData } from "./edge-stream.ts";
import type { Ground } from "./ground.ts";

/** Milliseconds, as in `worker/stream/publisher.ts`. */
const FIRST_ALARM = 10_000;
const LONGEST_BACKOFF = 300_000;

export interface PublisherParts {
  readonly ground: Ground;
  readonly data: StreamData;
  /** The log of the stream's store. */
  readonly log: () => ObjectHost<LogInstance>;
  readonly setAlarm: (delay: number) => void;
  /** Whether the object still is the one whose memory this is. */
  readonly isCurrent: () => boolean;
}

export class Publisher {
  readonly #parts: PublisherParts;
  #published: number;
  #isCertain = false;
  #isArmed: boolean;
  #failures = 0;
  /** Who waits for the publication under way; undefined where there is none. */
  #running: ((isDone: boolean) => void)[] | undefined;
  readonly #positions = new Map<number, Position>();
  /** Versions up to this one were published before the wake, at places that are not known yet. */
  #unasked: number;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#published = this.#version();
    this.#unasked = this.#version();
    this.#isArmed = parts.data.alarm !== null;
    if (this.#version() === 0 || !this.#isArmed) return;
    this.#doubt();
    this.publish();
  }

  arm(delay = FIRST_ALARM): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#parts.setAlarm(delay);
  }

  /** Publishes, waiting so many milliseconds at most, and learns positions from `version` on where they are wanted. */
  within(milliseconds: number, version: number, wanted: number | undefined, done: () => void): void {
    let isOver = false;
    const end = () => {
      if (!isOver) done();
      isOver = true;
    };
    const learn = () => {
      if (wanted !== undefined && this.positionOf(wanted) === null) this.#learnPositions(end);
      else end();
    };
    this.#parts.ground.scheduler.after(milliseconds, end);
    if (this.#published < version) this.publish((isDone) => (isDone ? learn() : end()));
    else learn();
  }

  /** Publishes until the log has everything; joins a publication under way. */
  publish(done: (isDone: boolean) => void = () => undefined): void {
    if (this.#running !== undefined) {
      this.#running.push(done);
      return;
    }
    this.#running = [done];
    this.#goOn();
  }

  #goOn(): void {
    const run = this.#backlog();
    if (run === null) {
      this.#failures = 0;
      return this.#end(true);
    }
    this.#parts.log().call<Published>(
      (log, reply) => reply({ value: log.publish([run]) }),
      (answer) => {
        if (!this.#parts.isCurrent()) return;
        const told = firstOf(answer);
        if (told === undefined) return this.#end(false);
        this.#learn(run, told);
        this.#goOn();
      },
    );
  }

  #end(isDone: boolean): void {
    const waiting = this.#running ?? [];
    this.#running = undefined;
    for (const done of waiting) done(isDone);
  }

  #learn(run: Run, answer: PublicationAnswer): void {
    this.#isCertain = true;
    if (answer.kind === "gap") {
      this.#published = answer.head;
      return;
    }
    this.#published = Math.max(this.#published, run.events.at(-1)?.version ?? 0);
    for (const [i, position] of answer.positions.entries()) this.#positions.set(answer.firstVersion + i, position);
  }

  #backlog(): Run | null {
    const { data, ground } = this.#parts;
    if (this.#published >= this.#version()) return null;
    return { streamId: data.streamId, events: ground.rules.nextRun(data.events.slice(this.#published)) };
  }

  #version(): number {
    return this.#parts.data.events.length;
  }

  /** Supposes that the last row may be missing: publishing it again is how the log is asked. */
  #doubt(): void {
    this.#published = Math.min(this.#published, Math.max(0, this.#version() - 1));
  }

  /** What a caller is to publish along with other streams' runs; null where the stream does so itself. */
  handOver(): Run | null {
    return this.#running === undefined ? this.#backlog() : null;
  }

  handedOver(run: Run, answer: PublicationAnswer | null): void {
    if (answer !== null) this.#learn(run, answer);
    if (answer?.kind !== "published") this.publish();
  }

  positionOf(version: number): Position | null {
    return this.#positions.get(version) ?? null;
  }

  #learnPositions(done: () => void): void {
    if (this.#unasked === 0) return done();
    const { log, data, isCurrent } = this.#parts;
    log().call<readonly Position[]>(
      (instance, reply) => reply({ value: instance.positionsOf(data.streamId) }),
      (answer) => {
        if (!isCurrent()) return;
        if ("value" in answer) this.#learnSpans(answer.value);
        done();
      },
    );
  }

  #learnSpans(positions: readonly Position[]): void {
    for (const [i, position] of positions.entries()) this.#positions.set(i + 1, position);
    const isComplete = positions.length >= this.#unasked;
    this.#unasked = 0;
    if (isComplete) return;
    this.#published = Math.min(this.#published, positions.length);
    this.arm();
    this.publish();
  }

  onAlarm(done: () => void): void {
    this.#isArmed = false;
    if (!this.#isCertain) this.#doubt();
    this.publish(() => {
      if (this.#published < this.#version() && !this.#isArmed && this.#parts.ground.rules.isAlarmSetAgain()) {
        this.#failures++;
        this.arm(Math.min(FIRST_ALARM * 2 ** this.#failures, LONGEST_BACKOFF));
      }
      done();
    });
  }
}

function firstOf(answer: Answer<Published>): PublicationAnswer | undefined {
  return "value" in answer ? answer.value.answers[0] : undefined;
}
