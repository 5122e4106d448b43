/** The log of one store, as `worker/log/log-object.ts` and `worker/log/feed-page.ts` implement it. */
import { unreachable } from "../../shared/assert.ts";
import { LogMismatchError, PositionAheadError } from "../../shared/errors.ts";
import type { ConfirmedEvent, RecordedEvent } from "../../shared/event/event.ts";
import { feedFilter } from "../../shared/feed-filter.ts";
import { START_MARK } from "../../shared/mark.ts";
import { type Position, toPosition, toVersion } from "../../shared/order.ts";
import type { FeedPage, FeedQuery } from "../../shared/wire/wire.ts";
import type { Ground } from "./ground.ts";

/** What it has stored. */
export interface LogData {
  id: string;
  readonly events: ConfirmedEvent[];
  /** Behind each event. */
  readonly marks: string[];
  /** Each stream's positions, by version. */
  readonly places: Map<string, Position[]>;
}

export function newLog(id: string): LogData {
  return { id, events: [], marks: [], places: new Map() };
}

export function copyOfLog({ id, events, marks, places }: LogData): LogData {
  return { id, events: [...events], marks: [...marks], places: new Map([...places].map(([streamId, at]) => [streamId, [...at]])) };
}

/** Contiguous versions of one stream, on their way into the log. */
export interface Run {
  readonly streamId: string;
  readonly events: readonly RecordedEvent[];
}

export type PublicationAnswer =
  /** All of the run stands in the log, from this version on at these positions. */
  | { readonly kind: "published"; readonly firstVersion: number; readonly positions: readonly Position[] }
  | { readonly kind: "gap"; readonly head: number };

export interface Published {
  readonly log: string;
  readonly answers: readonly PublicationAnswer[];
}

export class LogInstance {
  readonly #data: LogData;
  readonly #ground: Ground;
  readonly #onGrown: () => void;

  /** @param onGrown told in the turn in which it grows */
  constructor(data: LogData, ground: Ground, onGrown: () => void = () => undefined) {
    this.#data = data;
    this.#ground = ground;
    this.#onGrown = onGrown;
  }

  publish(runs: readonly Run[]): Published {
    const before = this.#head();
    const answers = runs.map((run) => this.#take(run));
    if (this.#head() > before) this.#onGrown();
    return { log: this.#data.id, answers };
  }

  #take({ streamId, events }: Run): PublicationAnswer {
    const firstVersion = events[0]?.version ?? 0;
    const lastVersion = events.at(-1)?.version ?? 0;
    const head = this.#data.places.get(streamId)?.length ?? 0;
    const decision = this.#ground.rules.decidePublication(toVersion(head), {
      firstVersion: toVersion(firstVersion),
      lastVersion: toVersion(lastVersion),
    });
    switch (decision.kind) {
      case "gap":
        return decision;
      case "take":
        for (const event of events) if (event.version >= decision.from) this.#insert(event);
        break;
      case "duplicate":
        break;
      default:
        return unreachable(decision);
    }
    return { kind: "published", firstVersion, positions: this.positionsOf(streamId).slice(firstVersion - 1, lastVersion) };
  }

  #insert(event: RecordedEvent): void {
    const { events, marks, places } = this.#data;
    const position = toPosition(this.#ground.rules.nextPosition(this.#head()));
    marks.push(this.#ground.rules.nextMark(marks.at(-1) ?? START_MARK, event.id));
    events.push({ ...event, position, recordedAt: event.recordedAt ?? "" });
    const at = places.get(event.streamId);
    if (at === undefined) places.set(event.streamId, [position]);
    else at.push(position);
    this.#ground.tell(() => `log: #${position} ${event.streamId}@${event.version} ${event.id}`);
  }

  #head(): number {
    return this.#data.events.at(-1)?.position ?? 0;
  }

  positionsOf(streamId: string): readonly Position[] {
    return this.#data.places.get(streamId) ?? [];
  }

  /** @throws LogMismatchError, PositionAheadError where the log is not the one that is followed */
  follow({ log, position = 0, mark }: { log?: string | undefined; position?: number | undefined; mark?: string | undefined }): {
    log: string;
  } {
    const { id } = this.#data;
    const facts = { log: id, head: this.#head() };
    if (log !== undefined && log !== id) throw new LogMismatchError(undefined, facts);
    if (position > facts.head) throw new PositionAheadError(undefined, facts);
    if (mark !== undefined && mark !== this.#markAt(position)) throw new LogMismatchError(undefined, facts);
    return { log: id };
  }

  #markAt(position: number): string {
    return this.#data.marks[position - 1] ?? START_MARK;
  }

  read(query: FeedQuery): FeedPage {
    const { after = 0, limit = 1000, log, mark, seen = after } = query;
    this.follow({ log, position: Math.max(after, seen), mark: undefined });
    this.follow({ log, position: seen, mark });
    const head = this.#head();
    const filter = query.within === undefined ? undefined : feedFilter({ within: query.within });
    const events: ConfirmedEvent[] = [];
    let position = after;
    for (let at = this.#placeAfter(after); at < this.#data.events.length; at++) {
      const event = this.#data.events[at];
      if (event === undefined || events.length >= limit || position - after >= this.#ground.params.pageLooks) break;
      position = event.position;
      if (filter?.stream(event.streamId) ?? true) events.push(this.#ground.rules.shown(event, this.#ground.scheduler.now));
    }
    return { log: this.#data.id, events, position, mark: this.#markAt(position), head };
  }

  #placeAfter(position: number): number {
    const { events } = this.#data;
    let place = Math.min(position, events.length);
    while (place > 0 && (events[place - 1]?.position ?? 0) > position) place--;
    return place;
  }
}
