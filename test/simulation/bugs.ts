/**
 * Deliberate bugs: each replaces one of the world's rules by a wrong one. A simulation that finds no bug proves something only if it finds
 * these. `bugs.test.ts` runs each bug until it is caught, and requires that every checker has caught one.
 */

import type { Step, SyncInput, SyncState } from "../../shared/device/sync.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { toVersion } from "../../shared/order.ts";
import { timeAt } from "./ground.ts";
import type { Params } from "./params.ts";
import { RULES, type Rules } from "./rules.ts";

export interface Bug {
  readonly name: string;
  readonly rules: Partial<Rules>;
  /** In which worlds it matters, where it seldom does. */
  readonly world?: Partial<Params>;
  /** Worlds, counted from seed 1, among which at least one catches it. */
  readonly within: number;
  /** The checker that does; what others catch before does not count. */
  readonly by: string;
}

/** The machine, with its input or its outcome tampered with. */
function machine(tamper: (state: SyncState, input: SyncInput, go: (input: SyncInput) => Step) => Step): Partial<Rules> {
  return { advance: (state, input, random) => tamper(state, input, (given) => RULES.advance(state, given, random)) };
}

/** Two are handed over together at least, and what is refused is soon given up. */
const SUBSCRIBED: NonNullable<Params["edgeSubscription"]> = {
  batchSize: 4,
  retries: 1,
  onFailure: "dead-letter",
  maxConsecutiveDeadLetters: 4,
  backoff: { first: 2000, longest: 20_000 },
};

const {
  decideAgain,
  decidePage,
  decidePublication,
  reconcile,
  withScope,
  isUsable,
  foldFrom,
  foldRows,
  afterHandOver,
  afterLook,
  resumptionIn,
  continuedIn,
  emptyReplica,
  nextStep,
  movedTo,
} = RULES;

function* twice<E>(events: Iterable<E>): Iterable<E> {
  for (const event of events) yield* [event, event];
}

/** Whatever the device's cursor says by now. */
const wherever: Rules["decidePage"] = (replica, page, asked) =>
  decidePage({ ...replica, ...(asked.isBackfill ? {} : { position: asked.after, backfills: [], scope: asked.within }) }, page, asked);

export const BUGS: readonly Bug[] = [
  {
    name: "an acknowledgement that the feed never explains is waited for in vain",
    rules: machine((state, input, go) => (input.kind === "timer" && input.timer === "lag" ? { state, effects: [] } : go(input))),
    world: { devices: 2, minutes: 3, actions: 120, faults: { "restore-store": 1, "lose-answer": 1 } },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "a stream publishes its last event first",
    rules: {
      nextRun: (backlog) => backlog.slice(-1),
      decidePublication: (head, run) =>
        run.firstVersion > head + 1 ? { kind: "take", from: run.firstVersion } : decidePublication(head, run),
    },
    within: 300,
    by: "4 feed order",
  },
  {
    name: "the edge forgets to look for known ids",
    rules: { appendAtEdge: ({ version }, commit) => RULES.appendAtEdge({ version, recorded: new Map() }, commit) },
    within: 300,
    by: "3 unique ids",
  },
  {
    name: "the edge takes what was made on another version",
    rules: { appendAtEdge: (facts, commit) => RULES.appendAtEdge(facts, { ...commit, expectedVersion: "any" }) },
    within: 300,
    by: "6 conservation",
  },
  {
    name: "the cursor moves before the events are written",
    rules: {
      pageTransactions: (replica, events) => [
        { replica, events: [] },
        { replica, events },
      ],
    },
    within: 300,
    by: "2 dense",
  },
  {
    // The cursor is compared too, in the same transaction: either alone is enough to keep a page from being written twice.
    name: "a tab that thaws writes, wherever the device stands",
    rules: { mayWrite: () => true, decidePage: wherever },
    world: { tabs: 3, scope: "all", faults: { "freeze-tab": 1, delay: 0.5, reset: 1 } },
    within: 300,
    by: "2 dense",
  },
  {
    name: "a device does not keep which log it follows",
    rules: {
      decidePage: (replica, page, asked) => {
        const decision = decidePage({ ...replica, log: null }, page, asked);
        return decision.kind === "stale" ? decision : { ...decision, replica: { ...decision.replica, log: null } };
      },
    },
    world: { faults: { "wipe-store": 1, "wipe-log": 1 } },
    within: 300,
    by: "10 one history",
  },
  {
    name: "marks are not kept, so that a restored log passes for the one that was followed",
    rules: {
      decidePage: (replica, page, asked) => {
        const decision = decidePage(replica, page, asked);
        return decision.kind === "stale" ? decision : { ...decision, replica: { ...decision.replica, mark: null } };
      },
    },
    world: { actions: 120, faults: { "restore-store": 1, delay: 0.5 } },
    within: 300,
    by: "10 one history",
  },
  {
    name: "a commit leaves the outbox when the push is answered",
    rules: { settledByAnswer: (batch) => batch },
    within: 300,
    by: "1 acknowledged",
  },
  {
    name: "a page does not settle what it confirms",
    rules: {
      reconcile: (...given) => {
        const { settled, ...others } = reconcile(...given);
        return { ...others, settled: settled.slice(1) };
      },
    },
    within: 300,
    by: "2 dense",
  },
  {
    name: "a rule is asked about a commit before the feed has told that the edge has it",
    rules: {
      reconcile: (entries, arrived, confirmed, resolve, recorded) =>
        reconcile(entries, arrived, confirmed, resolve, recorded, { isBehind: false, awaited: new Map() }),
    },
    world: {
      devices: 3,
      streams: 1,
      minutes: 3,
      actions: 120,
      pageEvents: 2,
      rule: "replace",
      scope: "all",
      hasTenant: false,
      hasStock: false,
      edgeSubscription: undefined,
      faults: { reset: 1, "lose-request": 0.5, "lose-answer": 0.5, delay: 0.5 },
    },
    within: 300,
    by: "6 conservation",
  },
  {
    name: "publishing twice gives two positions",
    rules: {
      decidePublication: (head, run) => (run.lastVersion <= head ? { kind: "take", from: run.firstVersion } : decidePublication(head, run)),
    },
    within: 300,
    by: "4 feed order",
  },
  {
    name: "a position is given before the event is there, and one is never filled",
    rules: { nextPosition: (head) => (head % 5 === 4 ? head + 2 : head + 1) },
    within: 300,
    by: "2 dense",
  },
  {
    name: "a commit is parked without those behind it",
    rules: { parkFrom: (entries, sent, reason) => RULES.parkFrom(entries, sent, reason).slice(0, 1) },
    world: { faults: { poison: 1 } },
    within: 300,
    by: "2 dense",
  },
  {
    name: "what stands behind a contested commit is sent",
    rules: machine((_, input, go) => {
      const { state, effects } = go(input);
      return { state: { ...state, awaited: new Map([...state.awaited].filter(([, { kind }]) => kind === "taken")) }, effects };
    }),
    world: { streams: 1, actions: 120, rule: "rebase" },
    within: 300,
    by: "6 conservation",
  },
  {
    name: "a page is applied wherever the device stands",
    rules: { decidePage: wherever },
    world: { tabs: 3, scope: "changing", faults: { "close-tab": 1, "lose-request": 0.5 } },
    within: 300,
    by: "5 convergence",
  },
  {
    name: "what is asked for while a lane works is taken for what it was doing",
    rules: machine((_, input, go) => {
      const { state, effects } = go(input);
      return { state: input.kind === "page-applied" || input.kind === "outbox-read" ? { ...state, done: state.wanted } : state, effects };
    }),
    within: 300,
    by: "5 convergence",
  },
  {
    name: "a push that is tried again has new ids",
    rules: {
      sentEvents: ({ events, seq, firstVersion }) => events.map((event) => ({ ...event, id: `${event.id}-${seq}-${firstVersion}` })),
    },
    within: 300,
    by: "9 tenancy",
  },
  {
    name: "an alarm that finds the log out of reach is the last one",
    rules: { isAlarmSetAgain: () => false },
    world: { faults: { "log-outage": 1 } },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "what did not fit into a push is dropped",
    rules: machine((_, input, go) => {
      const { state, effects } = go(input);
      if (input.kind !== "push-failed" || input.error.code !== "payload-too-large") return { state, effects };
      return { state: { ...state, push: { kind: "resting" }, done: state.wanted, pushCommits: state.settings.push.commits }, effects: [] };
    }),
    within: 300,
    by: "convergence in time",
  },
  {
    name: "an edge that can't be reached is taken for a refusal",
    rules: machine((_, input, go) =>
      go(input.kind === "push-failed" && input.error.code === "unavailable" ? { ...input, error: new InvalidRequestError() } : input),
    ),
    within: 300,
    by: "6 conservation",
  },
  {
    name: "the backoff has no end",
    rules: machine((given, input, go) => {
      const { state, effects } = go(input);
      const longer = effects.map((effect) =>
        effect.kind === "wait" && effect.timer !== "poll"
          ? { ...effect, milliseconds: effect.milliseconds * 10 ** given.failures }
          : effect,
      );
      return { state, effects: longer };
    }),
    within: 300,
    by: "convergence in time",
  },
  {
    name: "a reset drops what is pending",
    rules: { keptByReset: () => [] },
    within: 300,
    by: "1 acknowledged",
  },
  {
    name: "nothing is filled in where the scope widens",
    rules: { withScope: (replica, scope) => ({ ...withScope(replica, scope), backfills: [] }) },
    within: 300,
    by: "2 dense",
  },
  {
    name: "a tab with another filter appends to what the device does not follow",
    rules: { followsWhatIsSent: () => false },
    world: {
      tabs: 3,
      streams: 6,
      actions: 100,
      minutes: 10,
      scope: "changing",
      isAutomatic: true,
      faults: { "close-tab": 1, "lose-hint": 1 },
    },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "a reset leaves pending commits at their versions",
    rules: { detach: (entries) => entries },
    within: 300,
    by: "2 dense",
  },
  {
    name: "the outbox is read once",
    rules: { readOutbox: (entries, after, limit) => ({ ...RULES.readOutbox(entries, after, limit), isEnd: true }) },
    world: { actions: 120, faults: { poison: 1 } },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "events that a rule puts in others' place are written relaxed",
    rules: { pageDurability: () => "relaxed" },
    world: { rule: "replace", faults: { "crash-device": 1 } },
    within: 300,
    by: "6 conservation",
  },
  {
    name: "an append is written relaxed",
    rules: { appendDurability: () => "relaxed" },
    within: 300,
    by: "1 acknowledged",
  },
  {
    name: "a token is good after its end",
    rules: { refusal: (token, store) => (token.stores.includes(store) ? undefined : "forbidden") },
    within: 300,
    by: "9 tenancy",
  },
  {
    name: "the streams of two stores share their objects",
    rules: { objectName: (_, streamId) => streamId },
    within: 300,
    by: "9 tenancy",
  },
  {
    name: "a consumer's checkpoint is noted before the events are handled",
    rules: { handlesFirst: () => false },
    within: 300,
    by: "7 consumer",
  },
  {
    name: "a command is decided again without the pending events ahead of it",
    rules: { decideAgain: (deciders, again, ...parts) => decideAgain(deciders, { ...again, ahead: [] }, ...parts) },
    world: { hasStock: true, devices: 3, actions: 120 },
    within: 300,
    by: "stock",
  },
  {
    name: "a command that was overtaken is moved as it is",
    rules: { decideAgain: () => ({ kind: "rebase" }) },
    world: { hasStock: true, devices: 3, actions: 120 },
    within: 300,
    by: "stock",
  },
  {
    name: "a conflict forgets its command",
    rules: {
      reconcile: (...given) => {
        const { changed, ...others } = reconcile(...given);
        return { ...others, changed: changed.map((entry) => (entry.state === "parked" ? { ...entry, command: undefined } : entry)) };
      },
    },
    world: { hasStock: true, devices: 3, actions: 120 },
    within: 300,
    by: "stock",
  },
  {
    name: "a snapshot is taken of what is pending",
    rules: { snapshotOf: (_, all) => all },
    within: 300,
    by: "snapshots",
  },
  {
    name: "a snapshot of another version of the decider is believed",
    rules: { isUsable: (facts, _, stream) => isUsable(facts, facts.deciderVersion, stream) },
    within: 300,
    by: "snapshots",
  },
  {
    name: "snapshots outlive a reset",
    rules: { snapshotsAfterReset: (snapshots) => snapshots },
    world: { tabs: 1, streams: 2, faults: { "wipe-store": 1 } },
    within: 300,
    by: "snapshots",
  },
  {
    name: "an event is folded into its rows twice",
    rules: { foldRows: (projection, rows, events) => foldRows(projection, rows, twice(events)) },
    within: 300,
    by: "projections",
  },
  {
    name: "the checkpoint of a projection is written before its rows",
    rules: { rowWrites: (write) => [{ ...write, events: [] }, write] },
    world: { faults: { "abort-write": 1 } },
    within: 300,
    by: "projections",
  },
  {
    name: "rows of another history are kept",
    rules: {
      foldFrom: (folded, { log, resets, scope }) => foldFrom(folded, folded.log === null ? { log, resets, scope } : { ...folded, scope }),
    },
    world: { faults: { "wipe-store": 1 } },
    within: 300,
    by: "projections",
  },
  {
    name: "rows are not built anew where the filter is widened",
    rules: { foldFrom: (folded, replica) => foldFrom(folded, folded.log === null ? replica : { ...replica, scope: folded.scope }) },
    world: { scope: "changing" },
    within: 300,
    by: "projections",
  },
  {
    name: "rows are folded from the beginning over those that stand there",
    rules: { foldFrom: (folded, replica) => ({ ...foldFrom(folded, replica), isAnew: folded.log !== replica.log }) },
    world: { scope: "changing" },
    within: 300,
    by: "projections",
  },
  {
    name: "the checkpoint of a subscription is written before its handler has the event",
    rules: { subscriptionHandlesFirst: () => false },
    world: { scope: "all", faults: { "crash-tab": 1, "close-tab": 1 } },
    within: 300,
    by: "7 subscription",
  },
  {
    name: "what a subscription sets aside is not listed",
    rules: {
      afterLook: (subscription, found, now, policy) => {
        const step = afterLook(subscription, found, now, policy);
        if (step.kind !== "write") return step;
        return { ...step, subscription: { ...step.subscription, deadLetters: subscription.deadLetters } };
      },
    },
    world: { scope: "all" },
    within: 300,
    by: "7 subscription",
  },
  {
    name: "an event that is refused is taken for handled",
    rules: { afterHandOver: (subscription, event, _refusal, at, policy) => afterHandOver(subscription, event, null, at, policy) },
    world: { scope: "all" },
    within: 300,
    by: "7 subscription",
  },
  {
    name: "a subscription goes on in another history as if it was its own",
    rules: { continuedIn: (facts, replica) => continuedIn(facts, replica, facts.dealtWith) },
    world: { scope: "all", tabs: 1, faults: { "wipe-store": 1 } },
    within: 300,
    by: "7 subscription",
  },
  {
    name: "what a wider filter brings is not handed over",
    rules: { resumptionIn: (subscription, replica) => resumptionIn(subscription && { ...subscription, scope: replica.scope }, replica) },
    world: { scope: "changing", actions: 120 },
    within: 300,
    by: "7 subscription",
  },
  {
    name: "a page that is missing after a reset passes for a part without events",
    rules: {
      isSameCopy: () => true,
      resumptionIn: (subscription, replica) => resumptionIn(subscription && { ...subscription, resets: replica.resets }, replica),
    },
    world: { scope: "all", actions: 120, faults: { reset: 1 } },
    within: 300,
    by: "7 subscription",
  },
  {
    name: "an event that is set aside again stands in the list twice",
    rules: {
      afterLook: (subscription, found, now, policy) => {
        const step = afterLook(subscription, found, now, policy);
        const isAside = step.kind === "write" && step.subscription.deadLetters !== subscription.deadLetters;
        if (!isAside) return step;
        const deadLetters = [...subscription.deadLetters, ...step.subscription.deadLetters.slice(-1)];
        return { ...step, subscription: { ...step.subscription, deadLetters } };
      },
    },
    world: { scope: "all", actions: 120, onFailure: "dead-letter" },
    within: 300,
    by: "7 subscription",
  },
  {
    name: "the checkpoint of a subscription at the edge is written before its handler has the events",
    rules: { edgeHandlesFirst: () => false },
    world: { edgeSubscription: SUBSCRIBED, faults: { evict: 1, "crash-object": 1 } },
    within: 300,
    by: "7 edge subscription",
  },
  {
    name: "a batch that is refused is set aside as a whole",
    rules: {
      nextStep: (progress, policy, batch) => {
        const step = nextStep(progress, policy, batch);
        if (step.kind !== "take-apart") return step;
        return { kind: "dead-letter", progress: { ...progress, checkpoint: batch.upTo, failures: 0 } };
      },
    },
    world: { edgeSubscription: SUBSCRIBED },
    within: 300,
    by: "7 edge subscription",
  },
  {
    name: "an event that comes by itself is blamed for what was refused together",
    rules: {
      nextStep: (progress, policy, batch) =>
        nextStep(batch.count === 1 ? { ...progress, alone: Math.max(progress.alone, batch.upTo) } : progress, policy, batch),
    },
    world: { edgeSubscription: { ...SUBSCRIBED, retries: 0 }, actions: 120, pageLooks: 4, faults: { evict: 1, "crash-object": 1 } },
    within: 300,
    by: "7 edge subscription",
  },
  {
    name: "nothing tells a subscription again where the call that told it was lost",
    rules: { isLogAlarmSet: () => false },
    world: {
      edgeSubscription: SUBSCRIBED,
      devices: 1,
      actions: 12,
      minutes: 5,
      hasTenant: true,
      faults: { "lose-call": 1, "crash-object": 1 },
    },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "what is refused again when it is replayed leaves the list",
    rules: { afterReplay: () => null },
    world: { edgeSubscription: SUBSCRIBED },
    within: 300,
    by: "7 edge subscription",
  },
  {
    name: "a subscription at the edge reads whichever log is there",
    rules: { readBehind: (_, { position }) => ({ after: position }) },
    world: { edgeSubscription: SUBSCRIBED, actions: 120, faults: { "wipe-store": 1, "restore-store": 1 } },
    within: 300,
    by: "7 edge subscription",
  },
  {
    name: "a subscription at the edge does not keep the mark of its log",
    rules: { readBehind: ({ log }, { position }) => ({ after: position, log }) },
    world: { edgeSubscription: SUBSCRIBED, actions: 120, faults: { "restore-store": 1, evict: 1 } },
    within: 300,
    by: "7 edge subscription",
  },
  {
    name: "news has what was refused handed over at once",
    rules: { waitsUntil: () => null },
    world: { edgeSubscription: SUBSCRIBED, actions: 120 },
    within: 300,
    by: "7 edge subscription",
  },
  {
    name: "a replay that kills counts against what stands behind the checkpoint",
    rules: { isReplaying: () => false },
    world: { edgeSubscription: { ...SUBSCRIBED, retries: 0 }, actions: 120, faults: { "crash-object": 1 } },
    within: 300,
    by: "7 edge subscription",
  },
  {
    name: "a subscription that is put elsewhere keeps the mark of where it was",
    rules: { movedTo: (standing, log, position) => ({ ...movedTo(standing, log, position), mark: standing.mark }) },
    world: { edgeSubscription: SUBSCRIBED },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "what is told to a subscription at work is forgotten",
    rules: { hasMore: ({ position }, head) => position < head },
    world: { edgeSubscription: SUBSCRIBED, actions: 120 },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "a reset is not counted",
    rules: { emptyReplica: (replica) => ({ ...emptyReplica(replica), resets: replica.resets }) },
    world: { scope: "all", tabs: 1, faults: { "restore-store": 1 } },
    within: 300,
    by: "projections",
  },
  {
    name: "rows are folded from what is not on the disk yet",
    rules: { flushesBeforeRows: () => false },
    world: { scope: "all", actions: 120, faults: { "restore-log": 2, "restore-store": 2, "crash-device": 4 } },
    within: 300,
    by: "projections",
  },
  {
    name: "the time of recording is the time of reading",
    rules: { shown: (event, now) => ({ ...event, recordedAt: timeAt(now) }) },
    within: 300,
    by: "8 immutable",
  },
  {
    name: "a leader that froze keeps its place",
    rules: { isAbandoned: () => false },
    world: { tabs: 3, faults: { "freeze-tab": 1 } },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "a stream that was set aside stays there",
    rules: machine((state, input, go) => (input.kind === "timer" && input.timer === "deferred" ? { state, effects: [] } : go(input))),
    world: { faults: { overload: 1, "lose-answer": 0.6 } },
    within: 300,
    by: "convergence in time",
  },
  {
    name: "who appends a parked commit again has it twice",
    rules: { supersede: () => ({ kind: "superseded", gone: [] }) },
    within: 300,
    by: "6 conservation",
  },
  {
    name: "a parked commit stays parked when its events arrive",
    rules: { arrivedAfterAll: () => [] },
    world: { faults: { reset: 1, delay: 0.5 } },
    within: 300,
    by: "6 conservation",
  },
  {
    name: "a rebase keeps the version that was believed",
    rules: { rebaseParked: (entry, seq, facts) => RULES.rebaseParked(entry, seq, { ...facts, version: toVersion(0) }) },
    within: 300,
    by: "2 dense",
  },
];
