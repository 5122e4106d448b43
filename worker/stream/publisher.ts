/**
 * Brings a stream's events into its store's log, whatever happens to either of them.
 *
 *     committed ──► published?  one publication in flight; what is committed meanwhile goes together in the next
 *         │              ▲
 *         └── alarm ─────┘      armed in the commit's own transaction, once per burst; asks again until the log has all
 *
 * How far the log has the stream is not stored: it costs a row for each commit, and the log knows. After a wake it is
 * guessed, and the log's answer corrects the guess: a run too far on is refused with the head (`shared/edge/publication.ts`), an older
 * one is a duplicate. Positions are asked for once after a wake, when somebody reads.
 */

import type { EdgeEnv } from "../env.ts";
import type { LogObject, PublicationAnswer, PublishedRun } from "../log/log-object.ts";
import type { Span } from "../log/log-runs.ts";
import { alarmDelay } from "../objects/alarm-delay.ts";
import { callObject } from "../objects/calls.ts";
import { fitting, linesOf } from "../objects/run-text.ts";
import { logFault } from "../report/journal.ts";
import type { StreamRuns } from "./stream-runs.ts";

export class Publisher {
  readonly #state: DurableObjectState;
  readonly #env: EdgeEnv;
  readonly #runs: StreamRuns;
  /** The log has the stream up to this version, as far as is known. */
  #published = 0;
  /** Whether the log has said so since the wake. */
  #certain = false;
  #armed = false;
  #failures = 0;
  #running: Promise<void> | undefined;
  /** Where events stand in the log, in version order. */
  #spans: Span[] = [];
  /** Versions up to this one were published before the wake, at places that are not known yet. */
  #unasked = 0;

  constructor(state: DurableObjectState, env: EdgeEnv, runs: StreamRuns) {
    this.#state = state;
    this.#env = env;
    this.#runs = runs;
  }

  async wake(): Promise<void> {
    const { version } = this.#runs;
    this.#unasked = version;
    this.#published = version;
    if (version === 0) return;
    this.#armed = (await this.#state.storage.getAlarm()) !== null;
    if (!this.#armed) return;
    this.#doubt();
    this.#state.waitUntil(this.#attempt());
  }

  /** Makes sure that somebody will look. To be called in the same turn as the write of the runs. */
  arm(delay = alarmDelay(0)): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#state.storage.setAlarm(Date.now() + delay).catch((error: unknown) => {
      // The write of the runs fails with it, and the runtime resets the object.
      this.#armed = false;
      logFault("alarm", error);
    });
  }

  /** Publishes, waiting at most so many milliseconds, and learns positions from `version` on where they are wanted. */
  async within(milliseconds: number, version: number, wanted?: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    const work = async () => {
      if (this.#published < version) await this.publish();
      if (wanted !== undefined && this.positionOf(wanted) === null) await this.learnPositions();
    };
    await Promise.race([work().catch((error: unknown) => logFault("publish", error)), timeout]);
    clearTimeout(timer);
  }

  /** Publishes until the log has everything; joins a publication under way. @throws where the log can't be reached */
  publish(): Promise<void> {
    // Not in this turn: with nothing to do it would be over before it is remembered as running.
    this.#running ??= Promise.resolve().then(() => this.#run());
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      for (let sent = this.#backlog(); sent !== null; sent = this.#backlog()) {
        const { store, run } = sent;
        const { answers } = await callObject(
          () => this.#logObject(store),
          (log) => log.publish([run], store),
        );
        const answer: PublicationAnswer | undefined = answers[0];
        if (answer === undefined) throw new Error("the log left a run unanswered");
        this.#learn(run, answer);
      }
      this.#failures = 0;
    } finally {
      // In the same turn as the last look at the backlog: what is committed from now on starts anew.
      this.#running = undefined;
    }
  }

  async #attempt(): Promise<void> {
    await this.publish().catch((error: unknown) => logFault("publish", error));
  }

  #learn(run: PublishedRun, answer: PublicationAnswer): void {
    this.#certain = true;
    if (answer.kind === "gap") {
      this.#published = answer.head;
      return;
    }
    const last = run.firstVersion + linesOf(run.events).length - 1;
    this.#published = Math.max(this.#published, last);
    this.#keep(answer.spans);
  }

  #keep(spans: readonly Span[]): void {
    for (const span of spans) {
      if (this.positionOf(span.firstVersion) !== null) continue;
      let at = this.#spans.length;
      while (at > 0 && (this.#spans[at - 1]?.firstVersion ?? 0) > span.firstVersion) at--;
      this.#spans.splice(at, 0, span);
    }
  }

  /** The next rows that the log lacks; null where it has all. */
  #backlog(): { readonly store: string; readonly run: PublishedRun } | null {
    const streamVersion = this.#runs.version;
    if (this.#published >= streamVersion) return null;
    const sent = fitting(this.#runs.from(this.#published + 1), ({ events }) => events);
    const [first] = sent;
    if (first === undefined) return null;
    const firstVersion = first.lastVersion - linesOf(first.events).length + 1;
    const events = sent.map((run) => run.events).join("\n");
    const { store, streamId } = this.#name();
    return { store, run: { streamId, firstVersion, events, streamVersion } };
  }

  #name(): { store: string; streamId: string } {
    const name = this.#runs.name();
    const slash = name.indexOf("/");
    return { store: name.slice(0, slash), streamId: name.slice(slash + 1) };
  }

  #logObject(store: string): DurableObjectStub<LogObject> {
    return this.#env.LOGS.getByName(store);
  }

  /** Supposes that the last run may be missing: publishing it again is how the log is asked. */
  #doubt(): void {
    this.#published = Math.min(this.#published, this.#runs.beforeLast());
  }

  /** What a caller is to publish along with other streams' runs; null where the stream does so itself. */
  handOver(): PublishedRun | null {
    if (this.#running !== undefined) return null;
    const backlog = this.#backlog();
    const whole = backlog !== null && backlog.run.firstVersion + linesOf(backlog.run.events).length - 1 === this.#runs.version;
    return whole ? backlog.run : null;
  }

  /** What became of it; null where the caller's publication failed. */
  handedOver(run: PublishedRun, answer: PublicationAnswer | null): void {
    if (answer !== null) this.#learn(run, answer);
    if (answer?.kind !== "published") this.#state.waitUntil(this.#attempt());
  }

  /** Null where the log has not told it yet. */
  positionOf(version: number): number | null {
    let low = 0;
    let high = this.#spans.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const span = this.#spans[middle];
      if (span === undefined || version < span.firstVersion) high = middle - 1;
      else if (version > span.lastVersion) low = middle + 1;
      else return span.firstPosition + (version - span.firstVersion);
    }
    return null;
  }

  /** Asks the log where the events stand that were published before the wake. @throws where it can't be reached */
  async learnPositions(): Promise<void> {
    if (this.#unasked === 0) return;
    const { store, streamId } = this.#name();
    const spans = await callObject(
      () => this.#logObject(store),
      (log) => log.positionsOf(streamId, 1),
    );
    this.#keep(spans);
    const head = spans.at(-1)?.lastVersion ?? 0;
    if (head >= this.#unasked) {
      this.#unasked = 0;
      return;
    }
    // The alarm that should have published the rest was lost, or is yet to come.
    this.#published = Math.min(this.#published, head);
    this.arm();
    this.#unasked = 0;
    this.#state.waitUntil(this.#attempt());
  }

  /** Never throws for the log's sake: the platform gives up an alarm that threw six times. */
  async onAlarm(): Promise<void> {
    this.#armed = false;
    if (!this.#certain) this.#doubt();
    await this.#attempt();
    if (this.#published >= this.#runs.version || this.#armed) return;
    this.arm(alarmDelay(++this.#failures));
  }
}
