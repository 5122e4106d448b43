/** The tab that syncs: it performs the effects of the machine in `shared/device/sync.ts`, and passes the results back to it. */
import { unreachable } from "../../shared/assert.ts";
import type { PendingEntry } from "../../shared/device/outbox.ts";
import type { Replica } from "../../shared/device/replica.ts";
import { linkStatusOf, type SyncEffect, type SyncInput, type SyncState, startSync, type Timer } from "../../shared/device/sync.ts";
import type { FeedPage, FeedQuery, PushAnswer } from "../../shared/wire/wire.ts";
import type { Answer } from "./answers.ts";
import type { Tab } from "./tab.ts";
import { bringIntoScope, decide, recordRefusals, type Written, writePage } from "./transactions.ts";

/** Between something new and the live connection's word of it, about, in milliseconds. */
const LIVE_WAIT = 15_000;
/** Entries of the outbox that are read at once. */
const OUTBOX_READ = 6;

export class Leader {
  readonly term: number;
  readonly #tab: Tab;
  #state: SyncState;
  readonly #timers = new Map<Timer, object>();
  /** Who asked, by the machine's number. */
  #calls: { readonly number: number; readonly ask: string }[] = [];

  constructor(tab: Tab, term: number, replica: Replica) {
    const { params } = tab.ground;
    this.#tab = tab;
    this.term = term;
    this.#state = startSync(
      {
        automatic: params.isAutomatic,
        pageEvents: params.pageEvents,
        push: { commits: params.pushCommits, streams: params.pushStreams, size: 1_000_000 },
        pollEvery: params.pollEvery,
        feedSocket: params.isLive && params.isAutomatic,
      },
      replica,
    );
  }

  get connection(): string {
    return linkStatusOf(this.#state).connection;
  }

  start(): void {
    this.take({ kind: "woken" });
  }

  ask(ask: string): void {
    if (this.#calls.some((known) => known.ask === ask)) return;
    this.#calls.push({ number: this.#state.lastCall + 1, ask });
    this.take({ kind: "called" });
  }

  rescope(): void {
    const { device } = this.#tab;
    device.read(
      this.#tab,
      (content) => content.get("replica"),
      (replica) => this.take({ kind: "scope-changed", replica }),
    );
  }

  take(input: SyncInput): void {
    if (this.#tab.leader !== this) return;
    const { rules, random } = this.#tab.ground;
    const { state, effects } = rules.advance(this.#state, input, random.next());
    this.#state = state;
    this.#tab.ground.tell(() => `${this.#tab.name}: ${inputName(input)} → ${effects.map(effectName).join(", ")}`);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: SyncEffect): void {
    switch (effect.kind) {
      case "pull":
        return this.#pull(effect.request, effect.query);
      case "listen":
        return this.#listen(effect.request, effect.query);
      case "apply":
        return this.#apply(effect);
      case "read-outbox":
        return this.#read(effect);
      case "push":
        return this.#push(effect);
      case "record":
        return this.#record(effect);
      case "wait":
        return this.#wait(effect.timer, effect.milliseconds);
      case "settled":
        return this.#tell(effect.upToCall, { value: null });
      case "failed":
        return this.#tell(effect.upToCall, effect);
      default:
        return unreachable(effect);
    }
  }

  #pull(request: number, query: FeedQuery): void {
    this.#fetch(query, (answer) => {
      if ("value" in answer) this.take({ kind: "page-received", request, page: answer.value });
      else this.take({ kind: "pull-failed", request, error: answer.error });
    });
  }

  /** The edge tells of what is new after a while, or never; and what it tells may come when nobody listens any more. */
  #listen(request: number, query: FeedQuery): void {
    const { ground } = this.#tab;
    this.#tab.later(ground.random.wait(LIVE_WAIT), () => {
      if (this.#tab.leader !== this) return;
      this.#fetch(query, (answer) => {
        const isNew = "value" in answer && answer.value.position > (query.after ?? 0);
        if (isNew) ground.count("pages told live");
        if (isNew) return this.take({ kind: "page-received", request, page: answer.value });
        const { pull } = this.#state;
        if ("value" in answer && pull.kind === "listening" && pull.request === request) this.#listen(request, query);
      });
    });
  }

  #fetch(query: FeedQuery, then: (answer: Answer<FeedPage>) => void): void {
    const { device, edge, network } = this.#tab;
    network.request<FeedPage>(
      device,
      (reply) => edge.feed(device.store, device.token, query, reply),
      (answer) => this.#tab.run(() => then(answer)),
    );
  }

  #push({ request, batch, replica }: SyncEffect & { kind: "push" }): void {
    const { device, edge, network, ground } = this.#tab;
    const commits = batch.map((entry) => ({
      streamId: entry.streamId,
      expectedVersion: entry.expectedVersion,
      events: ground.rules.sentEvents(entry),
    }));
    const { log, position, mark } = replica;
    const body = { commits, log: log ?? undefined, position: log === null ? undefined : position, mark: mark ?? undefined };
    network.request<PushAnswer>(
      device,
      (reply) => edge.push(device.store, device.token, body, reply),
      (answer) =>
        this.#tab.run(() => {
          if ("value" in answer) this.#settleByAnswer(batch);
          if ("value" in answer) this.take({ kind: "push-answered", request, answer: answer.value });
          else this.take({ kind: "push-failed", request, error: answer.error });
        }),
    );
  }

  #settleByAnswer(batch: readonly PendingEntry[]): void {
    const { device, ground } = this.#tab;
    const gone = ground.rules.settledByAnswer(batch);
    if (gone.length === 0) return;
    device.write(
      this.#tab,
      "strict",
      (content) =>
        content.set(
          "outbox",
          content.get("outbox").filter(({ seq }) => gone.every((entry) => entry.seq !== seq)),
        ),
      () => undefined,
      () => gone.map(({ streamId }) => streamId),
    );
  }

  #apply({ request, page, pageRequest, awaited }: SyncEffect & { kind: "apply" }): void {
    const { device, ground } = this.#tab;
    device.write(
      this.#tab,
      ground.rules.pageDurability(ground.params),
      (content) => {
        const outcome = decide(content, this.term, page, pageRequest, ground.rules);
        if (outcome.kind !== "write") return outcome;
        const [first, ...rest] = outcome.writes;
        const written = first === undefined ? undefined : writePage(content, first, ground.rules, device.resolve, awaited);
        return { kind: "written" as const, written, rest };
      },
      (answer) => {
        if ("error" in answer) return this.take({ kind: "storage-failed", request, error: answer.error });
        const { value } = answer;
        if (value.kind === "fenced") return this.#tab.fenced(this);
        if (value.kind === "stale") return this.take({ kind: "page-stale", request, replica: value.replica });
        for (const write of value.rest)
          device.write(
            this.#tab,
            "relaxed",
            (content) => writePage(content, write, ground.rules, device.resolve, awaited),
            () => undefined,
            touched,
          );
        if (value.written === undefined) return;
        const { replica, left, changed, parked } = value.written;
        ground.count("commits settled, parked or let go of by a page", left.length);
        ground.count("conflicts found by a page", parked);
        ground.count("conflicts that the feed has ended", -parked);
        this.take({ kind: "page-applied", request, replica, left, changed });
      },
      (value) => (value.kind === "written" ? (value.written?.streams ?? []) : []),
    );
  }

  #read({ request, after }: SyncEffect & { kind: "read-outbox" }): void {
    const { device, ground } = this.#tab;
    device.read(
      this.#tab,
      (content) => ground.rules.readOutbox(content.get("outbox"), after, OUTBOX_READ),
      ({ unsent, isEnd }) => {
        this.#follow(unsent.map(({ entry }) => entry.streamId));
        this.take({ kind: "outbox-read", request, unsent, isEnd });
      },
    );
  }

  /** What is sent has to come back: a tab that knew of another scope may have appended outside of the one that the device has. */
  #follow(streamIds: readonly string[]): void {
    const { device, ground } = this.#tab;
    const isOutside = (streamId: string) => !ground.rules.isWithin(device.content.get("replica").scope, streamId);
    const outside = streamIds.filter(isOutside);
    if (outside.length === 0 || !ground.rules.followsWhatIsSent()) return;
    device.write(
      this.#tab,
      "relaxed",
      (content) => {
        for (const streamId of outside) bringIntoScope(content, streamId, ground.rules);
        return content.get("replica");
      },
      (answer) => {
        if ("value" in answer) this.take({ kind: "scope-changed", replica: answer.value });
      },
    );
  }

  #record({ request, refused }: SyncEffect & { kind: "record" }): void {
    const { device, ground } = this.#tab;
    device.write(
      this.#tab,
      "strict",
      (content) => recordRefusals(content, this.term, refused, ground.rules),
      (answer) => {
        if ("error" in answer) return this.take({ kind: "storage-failed", request, error: answer.error });
        if (answer.value.kind === "fenced") return this.#tab.fenced(this);
        ground.count("commits parked for the edge's refusal", answer.value.left.length);
        this.take({ kind: "refusals-recorded", request, left: answer.value.left });
      },
      (recorded) => (recorded.kind === "recorded" ? recorded.streams : []),
    );
  }

  #wait(timer: Timer, milliseconds: number): void {
    const mine = {};
    this.#timers.set(timer, mine);
    this.#tab.later(milliseconds, () => {
      if (this.#timers.get(timer) === mine && this.#tab.leader === this) this.take({ kind: "timer", timer });
    });
  }

  #tell(asked: number, answer: Answer<null>): void {
    const told = this.#calls.filter(({ number }) => number <= asked);
    this.#calls = this.#calls.filter(({ number }) => number > asked);
    for (const { ask } of told) this.#tab.answered(ask, answer);
  }
}

function inputName(input: SyncInput): string {
  switch (input.kind) {
    case "page-received":
      return `page to #${input.page.position} of #${input.page.head}`;
    case "page-applied":
      return `page-applied${input.left.length > 0 ? ` left ${input.left}` : ""}${input.changed.length > 0 ? ` changed ${input.changed}` : ""}`;
    case "push-answered":
      return `push-answered ${input.answer.results.map(({ status }) => status).join(" ")}`;
    case "timer":
      return `timer ${input.timer}`;
    case "outbox-read":
      return `outbox-read ${input.unsent.map(({ entry }) => entry.seq)}`;
    default:
      return "error" in input ? `${input.kind} ${input.error.code}` : input.kind;
  }
}

function effectName(effect: SyncEffect): string {
  switch (effect.kind) {
    case "pull":
      return `pull after #${effect.query.after}`;
    case "push":
      return `push ${effect.batch.map(({ seq, streamId, firstVersion }) => `${streamId}@${firstVersion}? (${seq})`).join(" ")}`;
    case "wait":
      return `wait ${effect.timer} ${(effect.milliseconds / 1000).toFixed(1)} s`;
    default:
      return effect.kind;
  }
}

function touched(written: Written): Iterable<string> {
  return written.streams;
}
