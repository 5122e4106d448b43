/**
 * A reconciliation, as a stream sees it: what it can't read, lacks or has otherwise than the log, it takes from the log. The rules are in
 * `shared/edge/reconcile.ts`.
 *
 *     compare all versions ──► plan ──► what is damaged or missing before its end ──► its end, if the log has more ──► published
 *                                            └── the log has another event, and it may replace the stream's: cut off before it
 *
 * It works in parts, each in one transaction. If it breaks off, the stream has diverged from the log, or is damaged, as before: it takes no
 * appends, and the next try goes on.
 */
import { allowedBy, type BothSides, planReconciled } from "../../shared/edge/reconcile.ts";
import { type Places, withPlace } from "../../shared/places.ts";
import type { ReconciledStream } from "../../shared/wire/reconcile.ts";
import type { EdgeEnv } from "../env.ts";
import { callObject } from "../objects/calls.ts";
import { unwrap } from "../objects/refused.ts";
import { isSameEvent, linesOf } from "../objects/run-text.ts";
import { LINES_AT_ONCE, type StoredLines, storedLines } from "../objects/stored-lines.ts";
import type { Publisher } from "./publisher.ts";
import { partsOf } from "./stream-name.ts";
import type { StreamRuns } from "./stream-runs.ts";

export interface ReconcileRequest {
  readonly dryRun: boolean;
  /** The first version that another event of the log may replace; 0 if none may be replaced. */
  readonly replaceFrom: number;
  /** Events of a backup, for versions that neither the stream nor the log can read. */
  readonly firstVersion: number;
  /** As `run-text.ts` makes them; empty if there are none. */
  readonly events: string;
}

export class StreamReconcile {
  readonly #env: EdgeEnv;
  readonly #runs: StreamRuns;
  readonly #publisher: Publisher;
  readonly #onChanged: () => void;

  /** @param onChanged called after each write */
  constructor(env: EdgeEnv, runs: StreamRuns, publisher: Publisher, onChanged: () => void) {
    this.#env = env;
    this.#runs = runs;
    this.#publisher = publisher;
    this.#onChanged = onChanged;
  }

  /** @param name `store/streamId` */
  async run(name: string, { dryRun, replaceFrom, firstVersion, events }: ReconcileRequest): Promise<ReconciledStream> {
    const { store, streamId } = partsOf(name);
    const given = events === "" ? [] : linesOf(events);
    const both = await this.#compare(store, streamId);
    const plan = planReconciled(both, given.length === 0 ? null : { first: firstVersion, last: firstVersion + given.length - 1 });
    const answer = (taken: readonly Places[]) => ({
      streamId,
      version: this.#runs.version,
      logged: both.head,
      repaired: [...taken],
      replaced: plan.replaced,
      lost: [...plan.lost],
    });
    if (dryRun) return answer(plan.taken);
    const { taken, cutFrom } = allowedBy(plan, replaceFrom);
    const tail = cutFrom ?? both.version + 1;
    if (cutFrom !== null || both.head > both.version) this.#publisher.hold(tail);
    const lineOf = (version: number) => given[version - firstVersion];
    for (const places of taken.filter(({ first }) => first < tail)) await this.#take(store, streamId, places, lineOf);
    if (cutFrom !== null) this.#runs.truncate(name, cutFrom - 1);
    for (const places of taken.filter(({ first }) => first >= tail)) await this.#take(store, streamId, places, lineOf);
    this.#onChanged();
    await this.#publisher.reconciled(name, both.head, cutFrom === null ? both.differsAt : undefined);
    return answer(taken);
  }

  async #compare(store: string, streamId: string): Promise<BothSides> {
    const damaged: Places[] = [];
    for (const _ of this.#runs.from(1, (places) => damaged.push(places))); // they are read to find those that can't be
    let unreadable: readonly Places[] = [];
    let differsAt: number | undefined;
    for (let from = 1; ; ) {
      const { last: head, lines } = await this.#logged(store, streamId, from);
      if (lines.length === 0) return { version: this.#runs.version, head, damaged, unreadable, differsAt };
      const own = this.linesFrom(from, from + lines.length - 1).lines;
      for (const [i, line] of lines.entries()) {
        const other = own[i];
        if (line === null) unreadable = withPlace(unreadable, from + i);
        else if (typeof other === "string" && !isSameEvent(other, line)) differsAt ??= from + i;
      }
      from += lines.length;
    }
  }

  /** The stream's lines from a version on, as many as fit into an answer. */
  linesFrom(first: number, last: number): StoredLines {
    const runs = this.#runs.from(first, () => {}); // what is damaged stays null
    return storedLines(this.#runs.version, first, Math.min(last, this.#runs.version), runs);
  }

  async #take(store: string, streamId: string, { first, last }: Places, given: (version: number) => string | undefined): Promise<void> {
    for (let from = first; from <= last; ) {
      const { lines } = await this.#logged(store, streamId, from);
      const taken: string[] = [];
      for (let version = from; version <= Math.min(last, from + LINES_AT_ONCE - 1); version++) {
        const line = lines[version - from] ?? given(version);
        // The rest is behind what fits into an answer.
        if (line === undefined) break;
        taken.push(line);
      }
      if (taken.length === 0) return;
      this.#runs.replace(`${store}/${streamId}`, from, taken);
      this.#onChanged();
      from += taken.length;
    }
  }

  #logged(store: string, streamId: string, from: number): Promise<StoredLines> {
    return callObject(
      () => this.#env.LOGS.getByName(store),
      async (log) => unwrap(await log.linesOf(streamId, from)),
    );
  }
}
