/** One call that appends commits to a stream: what becomes of each, in order, and what is to be written. Nothing is written here. */
import { decideAppend, type RecordedBody, type Refusal, refusalMessage } from "../../shared/append.ts";
import { assert, unreachable } from "../../shared/assert.ts";
import type { CommandRefusal, PendingCommand } from "../../shared/decider/command.ts";
import { type Readable, readCommand } from "../../shared/decider/command-versions.ts";
import type { AnyDecider } from "../../shared/decider/decider.ts";
import { decidedEventId, isDecidedId } from "../../shared/edge/decided-id.ts";
import { DecisionFault, decideSent } from "../../shared/edge/decision.ts";
import { DeciderVersionError, HeadwaterError } from "../../shared/errors.ts";
import { type Commit, parseCommit } from "../../shared/event/commit.ts";
import type { EventBody } from "../../shared/event/event.ts";
import { assertAcceptedNow, completeVersions } from "../../shared/event/event-checks.ts";
import { toVersion } from "../../shared/order.ts";
import type { Places } from "../../shared/places.ts";
import type { PushResult } from "../../shared/wire/wire.ts";
import { recordedEvents, toLines } from "../objects/run-text.ts";
import type { KnownIds } from "./known-ids.ts";
import type { Refusals } from "./refusals.ts";
import type { StreamDecider, StreamRules } from "./stream-decider.ts";
import type { StoredRun } from "./stream-runs.ts";

/** A commit with a command that the edge decides. */
type Commanded = Commit & { readonly command: PendingCommand };

export interface AppendingHost {
  readonly rules: StreamRules;
  readonly decider: StreamDecider;
  readonly ids: KnownIds;
  readonly refusals: Refusals;
  /** The stream's. */
  readonly version: number;
  /** The events that are stored of these versions. */
  eventsOf(places: Places): readonly EventBody[];
}

/** Characters of the events in the answers of a call. An answer of an object has at most 32 MiB. */
const MOST_ANSWERED = 4 * 1024 * 1024;

export class Appending {
  readonly results: PushResult[] = [];
  /** What is to be written. */
  readonly runs: StoredRun[] = [];
  /** Commands that came to nothing, to be noted. */
  readonly refused: { readonly commandId: string; readonly refusal: CommandRefusal | null }[] = [];
  /** The stream's state up to a version, of what is to be written; undefined if no command was decided. */
  folded: { readonly decider: AnyDecider; readonly version: number; readonly state: unknown } | undefined;
  readonly #host: AppendingHost;
  readonly #appended: EventBody[] = [];
  readonly #recordedAt: string;
  readonly #actor: string | null;
  readonly #mustDecide: boolean;
  /** Why commits without a command are skipped now; undefined if they are not. */
  #broken: "refusal" | "other" | undefined;
  #answered = 0;

  /** @param mustDecide whether the caller counts on it that commands are decided here */
  constructor(host: AppendingHost, recordedAt: string, actor: string | null, mustDecide: boolean) {
    this.#mustDecide = mustDecide;
    this.#host = host;
    this.#recordedAt = recordedAt;
    this.#actor = actor;
  }

  /** The stream's version with everything that is to be written. */
  get version(): number {
    return this.#host.version + this.#appended.length;
  }

  /** @throws DecisionFault if an app's decider fails */
  add(commit: Commit): void {
    const { streamId, command } = commit;
    const decider = command === undefined ? undefined : this.#host.decider.of(streamId);
    // During a deployment, the Worker may be of a version that has the decider, and this object of one that has not.
    if (this.#mustDecide && command !== undefined && decider === undefined) throw new DecisionFault("The object has no such decider yet.");
    const result = this.#isSkipped(decider !== undefined) ? undefined : (this.#duplicate(commit) ?? this.#take(commit, decider));
    this.results.push(result ?? { status: "skipped", streamId });
    if (result?.status === "refused") this.#broken ??= "refusal";
    else if (result !== undefined && !["committed", "duplicate"].includes(result.status)) this.#broken = "other";
    // The answer is as long as it may be.
    if (this.#answered > MOST_ANSWERED) this.#broken = "other";
  }

  /** A commit that builds on one that was not taken is skipped. A command that the edge decides builds on the truth, whatever was refused before. */
  #isSkipped(isDecided: boolean): boolean {
    return this.#broken === "other" || (this.#broken === "refusal" && !isDecided);
  }

  /** What was recorded for the commit's command; undefined if nothing was. */
  #duplicate({ streamId, command, events }: Commit): PushResult | undefined {
    const places = command === undefined ? undefined : this.#host.ids.ofCommand(command.id);
    if (places === undefined) return undefined;
    const recorded = this.#eventsOf(places);
    const isSent = recorded.length === events.length && recorded.every(({ id }, i) => id === events[i]?.id);
    const answer = { status: "duplicate", streamId, firstVersion: places.first, version: places.last, position: null } as const;
    return isSent ? answer : { ...answer, decided: this.#answer(recorded) };
  }

  #answer(events: readonly EventBody[]): EventBody[] {
    const bodies = events.map(({ id, type, schemaVersion, data, metadata, occurredAt }) => ({
      ...{ id, type, schemaVersion, data, metadata, occurredAt },
    }));
    this.#answered += JSON.stringify(bodies).length;
    return bodies;
  }

  #take(commit: Commit, decider: AnyDecider | undefined): PushResult {
    const { command } = commit;
    return decider === undefined || command === undefined ? this.#takeAsSent(commit) : this.#decide({ ...commit, command }, decider);
  }

  #takeAsSent(commit: Commit): PushResult {
    const { streamId, events } = commit;
    const decision = decideAppend({ version: toVersion(this.version), recorded: this.#recorded(events) }, commit);
    if (decision.kind === "refused") return rejectedResult(streamId, decision);
    if (decision.kind === "append") return this.#append(streamId, events);
    const { firstVersion, version } = decision;
    return { status: "duplicate", streamId, firstVersion, version, position: null };
  }

  #decide({ streamId, events, command, cause }: Commanded, decider: AnyDecider): PushResult {
    // Before its version is looked at: it is answered as before.
    const noted = this.#noted(command);
    if (noted !== undefined) return this.#nothing(streamId, noted, true);
    const known = this.#readable(command, decider);
    if (known instanceof HeadwaterError) return rejected(streamId, known);
    if (known.kind !== "readable") return otherDecider(streamId, command, decider);
    const sent = { command: { ...command, data: known.data }, events, actor: this.#actor, occurredAt: this.#recordedAt, cause };
    const mayTakeIds = events.every(({ id }) => !isDecidedId(id)) && this.#recorded(events).size === 0;
    const state = this.#stateOf(streamId, decider);
    const folded = (decided: readonly EventBody[]) => this.#folded(streamId, decider, state, decided, this.version + 1);
    const decision = decideSent(decider, state, sent, mayTakeIds, folded, (decided) => this.#complete(streamId, command, decided));
    if (decision.kind === "unfit") return rejected(streamId, decision.error);
    const refusal = decision.kind === "refused" ? decision.refusal : null;
    if (decision.kind === "refused" || (decision.kind === "decided" && decision.events.length === 0)) {
      this.refused.push({ commandId: command.id, refusal });
      return this.#nothing(streamId, refusal, false);
    }
    const recorded = decision.kind === "as-sent" ? events : decision.events;
    const result = this.#append(streamId, recorded);
    this.folded = { decider, version: this.version, state: decision.state };
    return decision.kind === "as-sent" ? result : { ...result, decided: this.#answer(recorded) };
  }

  /** What was noted for a command that came to nothing, also earlier in this call. */
  #noted({ id }: PendingCommand): CommandRefusal | null | undefined {
    const here = this.refused.find(({ commandId }) => commandId === id);
    return here === undefined ? this.#host.refusals.of(id) : here.refusal;
  }

  #nothing(streamId: string, refusal: CommandRefusal | null, isRepeated: boolean): PushResult {
    if (refusal !== null) return { status: "refused", streamId, ...refusal };
    const { version } = this;
    return { status: isRepeated ? "duplicate" : "committed", streamId, firstVersion: version + 1, version, position: null, decided: [] };
  }

  /** The command as this decider knows it, or the error of an upcaster. */
  #readable(command: PendingCommand, decider: AnyDecider): Readable | HeadwaterError {
    try {
      return command.decider === decider.name ? readCommand(command, decider, this.#host.rules.eventTypes?.commands) : { kind: "newer" };
    } catch (error) {
      if (error instanceof HeadwaterError) return error;
      throw error;
    }
  }

  /** The state with what was appended by now. Commits without a command may be among it. */
  #stateOf(streamId: string, decider: AnyDecider): unknown {
    const { version, state } = this.folded ?? { version: this.#host.version, state: this.#host.decider.stateOf(streamId, decider) };
    const added = this.#appended.slice(version - this.#host.version);
    return added.length === 0 ? state : this.#folded(streamId, decider, state, added, version + 1);
  }

  /** @throws DecisionFault if `evolve` throws */
  #folded(streamId: string, decider: AnyDecider, state: unknown, events: readonly EventBody[], firstVersion: number): unknown {
    const asRead = recordedEvents(events, this.#recordedAt, this.#actor).map((event, i) => ({
      ...event,
      streamId,
      version: firstVersion + i,
    }));
    return this.#host.decider.folded(decider, state, asRead);
  }

  /** @throws InvalidRequestError, PayloadTooLargeError if what was decided can't be recorded */
  #complete(streamId: string, command: PendingCommand, decided: readonly object[]): readonly EventBody[] {
    const { eventTypes, limits } = this.#host.rules;
    let place = 0;
    const newId = () => {
      for (;;) {
        const id = decidedEventId(command.id, place++);
        if (this.#host.ids.versionsOf([id]).size === 0) return id;
      }
    };
    const events = eventTypes === undefined ? decided : completeVersions(eventTypes, decided);
    const complete = parseCommit(
      { streamId, expectedVersion: "any", events, command },
      { newId, occurredAt: "" },
      limits,
      "decide.",
    ).events;
    if (eventTypes !== undefined) assertAcceptedNow(eventTypes, complete, "decide.");
    return complete;
  }

  #append(streamId: string, events: readonly EventBody[]): Extract<PushResult, { status: "committed" }> {
    const firstVersion = this.version + 1;
    for (const event of events) this.#host.ids.add(event);
    this.#appended.push(...events);
    const { version } = this;
    if (events.length > 0) {
      const lines = toLines(streamId, firstVersion, recordedEvents(events, this.#recordedAt, this.#actor));
      this.runs.push({ lastVersion: version, events: lines });
    }
    return { status: "committed", streamId, firstVersion, version, position: null };
  }

  /** The recorded events that have ids of these, including those of earlier commits of the same call. */
  #recorded(events: readonly EventBody[]): Map<string, RecordedBody> {
    const recorded = new Map<string, RecordedBody>();
    for (const [id, version] of this.#host.ids.versionsOf(events.map((event) => event.id))) {
      const [event] = this.#eventsOf({ first: version, last: version });
      if (event !== undefined) recorded.set(id, { ...event, version: toVersion(version) });
    }
    return recorded;
  }

  #eventsOf({ first, last }: Places): readonly EventBody[] {
    const { version } = this.#host;
    const stored = first > version ? [] : this.#host.eventsOf({ first, last: Math.min(last, version) });
    const own = this.#appended.slice(Math.max(0, first - version - 1), Math.max(0, last - version));
    assert(stored.length + own.length === last - first + 1, "an id that the stream knows belongs to an event");
    return [...stored, ...own];
  }
}

function otherDecider(streamId: string, { decider, version }: PendingCommand, known: AnyDecider): PushResult {
  const { code, title } = DeciderVersionError;
  const detail = `${title} The command is for ${decider}, version ${version}. The edge has ${known.name}, version ${known.version}.`;
  return { status: "rejected", streamId, code, detail, decider: `${decider}@${version}` };
}

/** A command that can't be read, or an event that can't be recorded: it stays so. */
function rejected(streamId: string, { code, message, details: { field } }: HeadwaterError): PushResult {
  return { status: "rejected", streamId, code, detail: message, ...(field !== undefined && { field }) };
}

function rejectedResult(streamId: string, refusal: Refusal): PushResult {
  const detail = refusalMessage(refusal);
  switch (refusal.code) {
    case "version-conflict": {
      const { code, expectedVersion, actualVersion } = refusal;
      return { status: "conflict", streamId, code, expectedVersion, actualVersion, detail };
    }
    case "event-id-reused": {
      const { code, eventId } = refusal;
      return { status: "rejected", streamId, code, eventId, detail };
    }
    default:
      return unreachable(refusal);
  }
}
