/**
 * Publishes a stream's events to the log of its store, even if the stream or the log fails meanwhile.
 *
 *     committed ──► published?  one publication in flight; what is committed meanwhile goes together in the next one
 *         │              ▲
 *         └── alarm ─────┘      armed in the commit's own transaction, once per burst; publishes again until the log has all
 *
 * How far the log has the stream is not stored: that would cost a row for each commit, and the log knows it. After a wake it is a guess,
 * which the log's answer corrects: if a run leaves a gap, the answer has the log's head of the stream (`shared/edge/publication.ts`), and
 * an older run is a duplicate. Positions are queried once after a wake, when a reader needs them.
 *
 * The log's answers also show if the stream or the log was put back to an older copy: the log has another event at a version of the stream,
 * or more versions, or its positions have changed.
 */
import { unreachable } from "../../shared/assert.ts";
import { behindLog } from "../../shared/edge/publication.ts";
import { StorageDamagedError } from "../../shared/errors.ts";
import type { Places } from "../../shared/places.ts";
import type { EdgeEnv } from "../env.ts";
import type { LogObject } from "../log/log-object.ts";
import type { Span } from "../log/log-rows.ts";
import type { PublicationAnswer, PublishedRun } from "../log/publication.ts";
import { alarmDelay, isLostAlarm } from "../objects/alarm-delay.ts";
import { callObject } from "../objects/calls.ts";
import { now } from "../objects/platform.ts";
import { fitting, linesOf } from "../objects/run-text.ts";
import { logFault } from "../report/journal.ts";
import { SpanMemory } from "./span-memory.ts";
import { partsOf } from "./stream-name.ts";
import type { StreamRuns } from "./stream-runs.ts";

/** Milliseconds for which what the log has said last is believed, while somebody waits for events that the log may lack. */
const BELIEVED = 10_000;

interface Backlog {
  readonly store: string;
  readonly run: PublishedRun;
}

export class Publisher {
  readonly #state: DurableObjectState;
  readonly #env: EdgeEnv;
  readonly #runs: StreamRuns;
  readonly #onDeleted: (published: number) => Promise<void>;
  /** The log has the stream up to this version, as far as this object knows. */
  #published = 0;
  /** The log is known to have the same events as the stream up to this version. */
  #compared = 0;
  /** Whether the log has confirmed this since the wake. */
  #certain = false;
  /** When the log has last said how far it has the stream, in milliseconds since 1970. */
  #heardAt: number | undefined;
  #armed = false;
  #failures = 0;
  #running: Promise<void> | undefined;
  readonly #spans = new SpanMemory();
  /** Versions up to this one were published before the wake: the log is asked for their positions when they are needed. */
  #unlocated = 0;
  /** The first version at which the stream and the log differ, as far as is known. */
  #divergedAt: number | undefined;
  /** The same as the log knows it. */
  #reportedAt: number | undefined;

  /** @param onDeleted called with the version up to which the log had the stream, if it answers that the store was deleted */
  constructor(state: DurableObjectState, env: EdgeEnv, runs: StreamRuns, onDeleted: (published: number) => Promise<void>) {
    this.#state = state;
    this.#env = env;
    this.#runs = runs;
    this.#onDeleted = onDeleted;
  }

  async wake(): Promise<void> {
    const { version } = this.#runs;
    this.#unlocated = version;
    this.#published = version;
    if (version === 0) return;
    const at = await this.#state.storage.getAlarm();
    if (at === null) return;
    if (isLostAlarm(at, now(this.#state))) this.arm();
    else this.#armed = true;
    this.#doubt();
    this.#state.waitUntil(this.#attempt());
  }

  /** A restore has shown its events. The log has them, and their positions are not known here yet. */
  restored(): void {
    this.#published = this.#runs.version;
    this.#unlocated = this.#runs.version;
    this.#divergedAt = undefined;
  }

  /** The first version at which the stream and the log differ; undefined if they agree, as far as is known. */
  get divergedAt(): number | undefined {
    return this.#divergedAt;
  }

  /**
   * Compares the stream with the log, and sets `divergedAt`. If the log can't be reached, what was known stays.
   *
   * @param name the object's: a stream without events does not know it
   */
  async compare(name: string): Promise<void> {
    const before = this.#divergedAt;
    const { store, streamId } = partsOf(name);
    try {
      if (before !== undefined) this.#published = Math.min(this.#published, before - 1);
      await this.publish();
      if (this.#published < this.#runs.version) return;
      // The log may have more, behind all that could be compared.
      const { head, refused } = await callObject(
        () => this.#logObject(store),
        (log) => log.headOf(streamId),
      );
      if (refused !== undefined) return await this.#onDeleted(this.#published);
      this.#heardAt = now(this.#state);
      if (head < this.#published) {
        // The log was put back.
        this.#published = head;
        this.#compared = Math.min(this.#compared, head);
        await this.publish();
        if (this.#published < this.#runs.version) return;
      }
      this.#divergedAt = behindLog(this.#runs.version, head, this.#published);
      await this.#report(store, streamId);
    } catch (error) {
      logFault("publish", error);
    }
  }

  /**
   * A writer whose commit conflicts reads in the log what the stream has. So the log has to have it, also if it was put back since this object
   * has heard of it. And who reads a stream without events has to be told if the log has some. Waits for at most so long; the work goes on.
   *
   * @param name the object's
   */
  async assure(milliseconds: number, name: string): Promise<void> {
    if (this.#heardAt !== undefined && now(this.#state) - this.#heardAt <= BELIEVED) return;
    await this.#atMost(milliseconds, () => this.compare(name));
  }

  /** A reconciliation begins to write: until it has ended, the stream takes no appends. @param version the first that is to be written */
  hold(version: number): void {
    this.#divergedAt = Math.min(version, this.#divergedAt ?? version);
  }

  /**
   * The stream was compared with the log, version by version, and repaired.
   *
   * @param name the object's
   * @param head the stream's last version in the log
   * @param differsAt the first version at which they still differ; undefined if they agree as far as both can be read
   */
  async reconciled(name: string, head: number, differsAt: number | undefined): Promise<void> {
    const { store, streamId } = partsOf(name);
    this.#published = Math.min(this.#runs.version, head);
    this.#unlocated = this.#runs.version;
    this.#spans.forgetFrom();
    this.#divergedAt = differsAt ?? behindLog(this.#runs.version, head, this.#published);
    // The log may count the stream, though this object does not know: it has slept since.
    await this.#report(store, streamId, true);
    if (this.#divergedAt !== undefined) return;
    try {
      await this.publish();
    } catch (error) {
      // What can't be read can't be published. The reconciliation's answer names it.
      if (!(error instanceof StorageDamagedError)) throw error;
    }
  }

  /** Reports to the log whether the stream has diverged from it, so that it is counted. If the log can't be reached, the alarm does it. */
  async #report(store: string, streamId: string, isNew = this.#divergedAt !== this.#reportedAt): Promise<void> {
    const at = this.#divergedAt;
    if (!isNew) return;
    try {
      await callObject(
        () => this.#logObject(store),
        (log) => log.reportDiverged(streamId, at ?? null, store),
      );
      this.#reportedAt = at;
    } catch (error) {
      logFault("publish", error);
      this.arm(alarmDelay(++this.#failures));
    }
  }

  /** Makes sure that the alarm will check the backlog. To be called in the same turn as the write of the runs. */
  arm(delay = alarmDelay(0)): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#state.storage.setAlarm(now(this.#state) + delay).catch((error: unknown) => {
      // The write of the runs fails with it, and the runtime resets the object.
      this.#armed = false;
      logFault("alarm", error);
    });
  }

  /**
   * Publishes up to `version`, and queries the log for the positions of the versions `wanted`. Waits for at most so many milliseconds; the
   * work continues after that.
   */
  async within(milliseconds: number, version: number, wanted?: Places): Promise<void> {
    await this.#atMost(milliseconds, async () => {
      if (this.#published < version) await this.publish();
      if (wanted !== undefined) await this.#learnPositions(wanted);
    });
  }

  async #atMost(milliseconds: number, work: () => Promise<void>): Promise<void> {
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    await Promise.race([work().catch((error: unknown) => logFault("publish", error)), timeout]);
    clearTimeout(timer);
  }

  /** Publishes until the log has everything; joins a publication under way. @throws if the log can't be reached */
  publish(): Promise<void> {
    // Not in this turn: with nothing to do it would end before `#running` is assigned.
    this.#running ??= Promise.resolve().then(() => this.#run());
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      for (let sent = this.#backlog(); sent !== null; sent = this.#backlog()) {
        const { store, run } = sent;
        const { answers, refused } = await callObject(
          () => this.#logObject(store),
          (log) => log.publish([run], store),
        );
        if (refused !== undefined) return await this.#onDeleted(this.#published);
        const answer: PublicationAnswer | undefined = answers[0];
        if (answer === undefined) throw new Error("The log returned no answer for a run.");
        this.#learn(run, answer);
        if (answer.kind === "diverged") return;
      }
      this.#failures = 0;
    } finally {
      // In the same turn as the last check of the backlog: a later commit starts a new publication.
      this.#running = undefined;
    }
  }

  async #attempt(): Promise<void> {
    await this.publish().catch((error: unknown) => logFault("publish", error));
  }

  #learn(run: PublishedRun, answer: PublicationAnswer): void {
    this.#certain = true;
    this.#heardAt = now(this.#state);
    switch (answer.kind) {
      case "gap":
        this.#published = answer.head;
        return;
      case "diverged":
        this.#divergedAt = this.#reportedAt = answer.version;
        return;
      case "published": {
        const last = run.firstVersion + linesOf(run.events).length - 1;
        this.#published = Math.max(this.#published, last);
        this.#compared = Math.max(this.#compared, last);
        this.#keep(answer.spans);
        return this.#onHead(answer.head ?? 0);
      }
      default:
        return unreachable(answer);
    }
  }

  /** @param head the stream's last version in the log */
  #onHead(head: number): void {
    const at = behindLog(this.#runs.version, head, this.#published);
    if (at === undefined || this.#divergedAt !== undefined) return;
    this.#divergedAt = at;
    const { store, streamId } = this.#name();
    this.#state.waitUntil(this.#report(store, streamId));
  }

  #keep(spans: readonly Span[]): void {
    const moved = this.#spans.keep(spans);
    if (moved !== undefined) this.#onMoved(moved);
  }

  /** The log has given the stream's events other positions than before, from this version on. */
  #onMoved(version: number): void {
    const { store, streamId } = this.#name();
    const error = new Error("The log was put back to an older copy: it has given events of a stream positions for the second time.");
    logFault("log-put-back", error, { store, streamId, version });
  }

  /** The next rows that the log lacks; null if it has all. */
  #backlog(): Backlog | null {
    const streamVersion = this.#runs.version;
    if (this.#published >= streamVersion) return null;
    const sent = fitting(this.#runs.from(this.#published + 1), ({ events }) => events);
    const [first] = sent;
    if (first === undefined) return null;
    const firstVersion = first.lastVersion - linesOf(first.events).length + 1;
    const events = sent.map((run) => run.events).join("\n");
    const { store, streamId } = this.#name();
    const previous = this.#compared < firstVersion - 1 ? this.#runs.idAt(firstVersion - 1) : undefined;
    return { store, run: { streamId, firstVersion, events, streamVersion, ...(previous !== undefined && { previous }) } };
  }

  #name(): { store: string; streamId: string } {
    return partsOf(this.#runs.name());
  }

  #logObject(store: string): DurableObjectStub<LogObject> {
    return this.#env.LOGS.getByName(store);
  }

  /** Assumes that the log may lack the last run: publishing it again shows how far the log has the stream. */
  #doubt(): void {
    this.#published = Math.min(this.#published, this.#runs.beforeLast());
  }

  /** The run that the caller is to publish together with other streams' runs; null if the stream publishes it itself. */
  handOver(): PublishedRun | null {
    if (this.#running !== undefined || this.#divergedAt !== undefined) return null;
    const backlog = this.#readBacklog();
    const whole = backlog !== null && backlog.run.firstVersion + linesOf(backlog.run.events).length - 1 === this.#runs.version;
    return whole ? backlog.run : null;
  }

  /** Null also if the backlog is damaged: the next publication logs that. */
  #readBacklog(): Backlog | null {
    try {
      return this.#backlog();
    } catch (error) {
      if (error instanceof StorageDamagedError) return null;
      throw error;
    }
  }

  /** Takes the log's answer to that run; null if the caller's publication failed. */
  handedOver(run: PublishedRun, answer: PublicationAnswer | null): void {
    if (answer !== null) this.#learn(run, answer);
    if (answer === null || answer.kind === "gap") this.#state.waitUntil(this.#attempt());
  }

  /** Null if the log has not returned it yet, or may have another event at this version: what it has got is compared first. */
  positionOf(version: number): number | null {
    if (version > this.#published || (this.#divergedAt !== undefined && version >= this.#divergedAt)) return null;
    return this.#spans.positionOf(version);
  }

  /** Queries the log for the positions of those of the events that were published before the wake. @throws if it can't be reached */
  async #learnPositions({ first, last }: Places): Promise<void> {
    const wanted = { first, last: Math.min(last, this.#unlocated) };
    if (this.#spans.hasAll(wanted)) return;
    const { store, streamId } = this.#name();
    const spans = await callObject(
      () => this.#logObject(store),
      async (log) => log.positionsOf(streamId, wanted.first, wanted.last),
    );
    if ("refused" in spans) return this.#onDeleted(this.#published);
    this.#keep(spans);
    const head = spans.at(-1)?.lastVersion ?? 0;
    if (head >= this.#unlocated) return this.#onHead(head);
    // The alarm that should have published the rest was lost, or is yet to come.
    this.#published = Math.min(this.#published, head);
    this.arm();
    this.#unlocated = head;
    this.#state.waitUntil(this.#attempt());
  }

  /** Does not throw if the log fails: the platform gives up an alarm that threw six times. */
  async onAlarm(): Promise<void> {
    this.#armed = false;
    if (!this.#certain) this.#doubt();
    if (this.#divergedAt === undefined && this.#reportedAt === undefined) await this.#attempt();
    else await this.compare(this.#runs.name());
    if (this.#published >= this.#runs.version || this.#armed) return;
    this.arm(alarmDelay(++this.#failures));
  }
}
