/**
 * The operator of the edge. Keeps copies, and restores one of them some day, or wipes the store; each time the log is read first. And manages
 * the store's subscription: reads its status, resumes, resets and replays it, needed or not.
 */
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { StoreHealth } from "../../shared/wire/wire.ts";
import { askAsOperator } from "./ask-edge.ts";
import type { Damage } from "./damage.ts";
import type { Edge, StoreCopy } from "./edge.ts";
import { EPOCH, type Ground } from "./ground.ts";
import { OF_SUBSCRIPTION } from "./models/ledger.ts";

interface Status {
  readonly state: "running" | "waiting" | "stopped";
  readonly position: number;
  readonly head: number;
  readonly retryAt: string | null;
  readonly error: string | null;
  readonly deadLetters: number;
}

interface Detail {
  readonly subscription: Status;
  readonly deadLetters: readonly { readonly id: string }[];
}

/** Milliseconds until a request that failed is made again. */
const AGAIN = 1_000;

/** Milliseconds within which the last event is handed over without anybody's help: the longest backoff of an alarm is 300 s. */
const BY_ITSELF = 400_000;

/** It works at nothing, and waits for nothing that is to come. */
function isIdle({ state, retryAt }: Status, now: number): boolean {
  return state === "running" || (state === "waiting" && retryAt !== null && Date.parse(retryAt) < EPOCH + now - BY_ITSELF);
}

export class Operator {
  readonly #ground: Ground;
  readonly #edge: Edge;
  readonly #store: string;
  readonly #damage: Damage;
  #copy: StoreCopy | undefined;
  #isBusy = false;
  /** As it was read last. */
  #status: Status | undefined;
  /** The last event for the subscription, and since when it was the last. */
  #last = { id: "", since: 0 };
  /** The log was ever replaced. */
  hasReplaced = false;
  /** Streams may hold what their log does not, and not know of it. */
  mustVerify = false;

  constructor(ground: Ground, edge: Edge, store: string, damage: Damage) {
    this.#ground = ground;
    this.#edge = edge;
    this.#store = store;
    this.#damage = damage;
  }

  /** @param isCareless whether the store is ever put back or wiped */
  start(isCareless: boolean): void {
    const { faults, params, random, scheduler } = this.#ground;
    if (isCareless) {
      if (params.faults["restore-store"] !== undefined || params.faults["restore-log"] !== undefined) this.#keepCopies();
      faults.recur("wipe-store", () => this.#replaceStore(undefined));
      faults.recur("restore-store", () => this.#copy !== undefined && this.#replaceStore(this.#copy));
      faults.recur("wipe-log", () => this.#replaceLog(undefined));
      faults.recur("restore-log", () => this.#copy !== undefined && this.#replaceLog(this.#copy));
    }
    if (params.edgeSubscription === undefined) return;
    // Some manage it all the time, some hardly ever.
    const pace = params.minutes * 60_000 * random.spread(0.03, 3);
    const care = () =>
      scheduler.after(random.wait(pace), () => {
        if (faults.isOver) return;
        void this.#care();
        care();
      });
    care();
  }

  #keepCopies(): void {
    const { scheduler, random, params } = this.#ground;
    scheduler.after(random.wait((params.minutes * 60_000) / 6), () => {
      if (this.#damage.broken === undefined) this.#copy = this.#edge.copy(this.#store);
      this.#keepCopies();
    });
  }

  #replaceStore(copy: StoreCopy | undefined): boolean {
    if (!this.#damage.repair()) return false;
    this.#observe("store", copy);
    this.#edge.replaceStore(this.#store, copy);
    if (copy === undefined) this.#copy = undefined;
    return true;
  }

  #replaceLog(copy: StoreCopy | undefined): boolean {
    if (!this.#damage.repair()) return false;
    this.#observe("log", copy);
    this.#edge.replaceLog(this.#store, copy);
    // A copy of streams that hold more than the log that is there now is of no use.
    this.#copy = undefined;
    this.verify();
    this.mustVerify = true;
    return true;
  }

  /** Restarts everything. Streams learn from whoever reads them that their log holds less than they do. */
  verify(): void {
    this.#edge.restartAll();
  }

  #observe(part: "store" | "log", copy: StoreCopy | undefined): void {
    const before = this.#edge.disks.readLog(this.#store);
    const unpublished = this.#edge.disks.readUnpublished(this.#store);
    const head = copy?.head ?? 0;
    this.hasReplaced = true;
    this.#ground.tell(() => `operator: the ${part} of ${this.#store} is put back to #${head}`);
    this.#ground.observe({ kind: "replaced", store: this.#store, part, before, unpublished, copiedAt: copy?.at ?? null, head });
  }

  async #care(): Promise<void> {
    const { random } = this.#ground;
    const status = await this.look();
    if (status?.state === "stopped") return this.#putRight(status);
    switch (random.pick(["replay", "replay", "replay", "look", "look", "resume", "reset", "nothing", "nothing", "nothing"])) {
      case "replay":
        return void (await this.#ask("/replay", {}));
      case "resume":
        return this.#resume();
      case "reset":
        return this.#reset(random.chance(0.5) ? 0 : random.between(0, status?.head ?? 0));
      default:
    }
  }

  /** After everything is well: what has stopped is resumed, and dead letters are replayed. */
  async tend(): Promise<void> {
    const last = this.#lastEvent();
    const isLeftAlone = last !== undefined && this.#isLeftAlone(last);
    if (isLeftAlone && this.#ground.scheduler.now < this.#last.since + BY_ITSELF) return;
    const status = await this.look();
    if (isLeftAlone && status !== undefined && isIdle(status, this.#ground.scheduler.now) && status.position < last.position)
      this.#ground.observe({ kind: "edge-idle", store: this.#store, position: status.position });
    if (status?.state === "stopped") await this.#putRight(status);
    else if (status !== undefined && status.deadLetters > 0) await this.#ask("/replay", {});
  }

  /** Whoever looks at its status wakes a subscription. While it can be expected to go on, it must do so by itself, and gets its time for that. */
  #isLeftAlone({ id }: ConfirmedEvent): boolean {
    if (id !== this.#last.id || this.#status?.state === "stopped") this.#last = { id, since: this.#ground.scheduler.now };
    return this.#status?.state !== "stopped" && !this.mustVerify && !this.#edge.hasLostAlarm && !this.#edge.wasHanded(id);
  }

  #lastEvent(events = this.#edge.disks.readLog(this.#store)): ConfirmedEvent | undefined {
    return events.findLast(({ streamId }) => OF_SUBSCRIPTION.stream(streamId));
  }

  async #putRight({ error }: Status): Promise<void> {
    if (error?.includes("damaged") === true) await this.#resume();
    else if (error?.includes("log") === true || error?.includes("position") === true) await this.#reset(0);
    else await this.#resume();
  }

  async #resume(): Promise<void> {
    await this.#change("/resume", {}, "resume", 0);
  }

  async #reset(position: number): Promise<void> {
    await this.#change("/reset", { position }, "reset", position);
  }

  /** Until it is answered nobody knows whether it was done; so it is asked for again. */
  async #change(path: string, body: object, what: "resume" | "reset", position: number): Promise<void> {
    const { scheduler } = this.#ground;
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#ground.observe({ kind: "edge-asked", store: this.#store, what, position, isDone: false });
    let status = 0;
    do {
      status = (await this.#send(path, body)).status;
      if (status >= 500) await new Promise<void>((resolve) => void scheduler.after(AGAIN, resolve));
    } while (status >= 500);
    const isDone = status < 400;
    this.#ground.observe({ kind: "edge-asked", store: this.#store, what: isDone ? what : "resume", position, isDone: true });
    this.#isBusy = false;
  }

  /** Its status and its dead letters. */
  async look(): Promise<Status | undefined> {
    const { params, scheduler } = this.#ground;
    const { edgeSubscription: policy } = params;
    if (policy === undefined) return undefined;
    const sentAt = scheduler.now;
    const detail = await this.#ask("?limit=1000");
    if (detail === undefined) return undefined;
    const { subscription, deadLetters } = detail;
    const { position, state, retryAt } = subscription;
    this.#status = subscription;
    this.#ground.observe({
      kind: "edge-subscription",
      store: this.#store,
      position,
      isStopped: state === "stopped",
      retryAt: retryAt === null ? null : Date.parse(retryAt) - EPOCH,
      deadLetters: deadLetters.map(({ id }) => id),
      onFailure: policy.onFailure,
      sentAt,
    });
    return subscription;
  }

  /** Asks whether the log has all that it once had. */
  async lookAtHealth(): Promise<void> {
    const { disks } = this.#edge;
    const [remembered, before] = [disks.rememberedEnd(this.#store), disks.readLog(this.#store)];
    const { lostHistory: lost } = (await (await askAsOperator(this.#edge, this.#store, "/health")).json()) as StoreHealth; // what the edge's interface says
    const [told, after] = [disks.rememberedEnd(this.#store), disks.readLog(this.#store)];
    this.#ground.observe({ kind: "health", store: this.#store, lost, remembered, told, before, after });
  }

  /** Whether damage at a position of an event for the subscription keeps it from going on, and it has not stopped. */
  isUntold({ streamId, position }: { readonly streamId: string; readonly position: number }): boolean {
    if (this.#ground.params.edgeSubscription === undefined || !OF_SUBSCRIPTION.stream(streamId)) return false;
    return this.#status === undefined || (this.#status.position < position && this.#status.state !== "stopped");
  }

  /** What its status showed last that is still to be done. */
  unsettled(): readonly string[] {
    const events = this.#edge.disks.readLog(this.#store);
    const last = this.#lastEvent(events)?.position ?? 0;
    if (this.#ground.params.edgeSubscription === undefined || events.length === 0) return [];
    const { state = "unknown", position = 0, error, deadLetters = 0 } = this.#status ?? {};
    const left: string[] = [];
    // A kill with nothing in hand counts as a failure on the next event, which is yet to come.
    const isIdle = state === "waiting" && position >= last;
    if (state !== "running" && !isIdle) left.push(`is ${state}: ${error}`);
    if (position < last || position > events.length) left.push(`is at #${position} of #${last}`);
    if (deadLetters > 0) left.push(`has ${deadLetters} dead letters`);
    return left.map((line) => `${this.#store}: the subscription ${line}`);
  }

  /** One request after the other, straight at the edge. */
  async #ask(path: string, body?: object): Promise<Detail | undefined> {
    if (this.#isBusy) return undefined;
    this.#isBusy = true;
    const response = await this.#send(path, body);
    this.#isBusy = false;
    return response.ok ? ((await response.json()) as Detail) : undefined; // what the edge's interface says
  }

  #send(path: string, body?: object): Promise<Response> {
    return askAsOperator(this.#edge, this.#store, `/subscriptions/worker${path}`, body);
  }
}
