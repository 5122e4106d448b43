/**
 * A world: devices with their tabs and apps, an edge with its operator, others who read and write there, and all possible faults between
 * them. All of it is the product as it ships, on stand-ins of its platforms. Its parameters decide everything that happens, bit for bit.
 *
 *     things go wrong, and every promise of safety is checked at every step
 *        └──► heal: nothing goes wrong any more, users and operators do their part
 *               └──► what is damaged: whoever needs it must be told; then it is repaired (`told.ts`)
 *                      └──► all must be in step within CONVERGENCE; everything that is not is named
 *                             └──► everything is read once more, and each checker makes its final check
 *
 * What users and operators do when the world heals: each device runs at least one tab; tokens are renewed; a user whose device has diverged
 * resets it and keeps the pending commits; a user who syncs by hand does so now and then. If a subscription at the edge has stopped, it is
 * resumed, or it is reset if its log is another one. Its dead letters are replayed.
 */
import { createHash } from "node:crypto";
import type { Budget } from "./app.ts";
import { LONGEST_CALL } from "./checkers/calls.ts";
import { type Checker, Violation } from "./checkers/checker.ts";
import { allCheckers } from "./checkers/index.ts";
import type { Observation } from "./checkers/observation.ts";
import { StreamsPutBack } from "./checkers/put-back.ts";
import { Damage } from "./damage.ts";
import { Edge } from "./edge.ts";
import { Faults } from "./faults.ts";
import { apart, type Ground } from "./ground.ts";
import { Habits } from "./habits/index.ts";
import { Network } from "./network.ts";
import { Operator } from "./operator.ts";
import { Reader, Writer } from "./outside.ts";
import type { Params } from "./params.ts";
import type { Product } from "./platform/bundle.ts";
import { runMicrotasks } from "./platform/microtasks.ts";
import { Scheduler } from "./platform/scheduler.ts";
import { Raider } from "./raider.ts";
import { Random } from "./random.ts";
import { expectTold } from "./told.ts";
import { goodToken, User } from "./user.ts";

const MINUTE = 60_000;
/** Milliseconds from the healing until all must be in step: the longest backoff of an alarm (300 s), and of a device after it. */
const CONVERGENCE = 10 * MINUTE;
/** A subscription at the edge is left alone at first. */
const CONVERGENCE_AT_EDGE = 15 * MINUTE;
/** What happens in a world at most; more is something that turns in circles. */
const MOST_STEPS = 400_000;
/** Milliseconds between two looks at whether all is in step. */
const BETWEEN_LOOKS = 2_000;
/** Characters of a request, or of a message, in a story. */
const SHOWN = 240;

/** The store that the devices follow, and another one at the same edge. */
export const STORE = "main";
const TENANT = "other";

export type Story = (line: string) => void;

export class World implements Ground {
  readonly params: Params;
  readonly product: Product;
  readonly scheduler = new Scheduler(MOST_STEPS);
  readonly random: Random;
  readonly faults: Faults;
  readonly checkers: readonly Checker[] = allCheckers();
  /** What happened, by name. */
  readonly counts = new Map<string, number>();
  readonly users: readonly User[];
  readonly edge: Edge;
  readonly stores: readonly string[];
  readonly #network: Network;
  readonly #damage: Damage;
  readonly #putBack = new StreamsPutBack();
  readonly #operators: readonly Operator[];
  readonly #readers: readonly Reader[];
  readonly #habits: Habits;
  readonly #streams: readonly string[];
  readonly #budget: Budget;
  readonly #tenantBudget: Budget = { left: 10 };
  readonly #story: Story | undefined;
  readonly #traffic = createHash("sha256");
  #violation: unknown;
  /** The world ends by then, in virtual milliseconds, as it is. */
  until = Number.POSITIVE_INFINITY;
  /** All has happened, and the checkers make their final checks. */
  isOver = false;

  constructor(params: Params, product: Product, story?: Story) {
    this.params = params;
    this.product = product;
    this.#story = story;
    this.random = new Random(params.seed, "world");
    this.faults = new Faults(params.faults, this.random.fork("faults"), this.scheduler, params.minutes * MINUTE);
    this.stores = params.hasTenant ? [STORE, TENANT] : [STORE];
    this.edge = new Edge(apart(this, "edge"));
    this.#network = new Network(apart(this, "network"), this.edge);
    this.#budget = { left: params.actions };
    this.#streams = Array.from({ length: params.streams }, (_, i) => `${i % 3 === 2 ? "Ticket" : "Permit"}-${i + 1}`);
    this.#damage = new Damage(apart(this, "damage"), this.edge, STORE);
    this.#operators = this.stores.map((store) => new Operator(apart(this, `operator of ${store}`), this.edge, store, this.#damage));
    this.#readers = this.stores.map((store) => this.#reader(`reader of ${store}`, store, store));
    this.#habits = new Habits(this, this.edge);
    this.users = Array.from({ length: params.devices }, (_, i) => this.#user(i));
  }

  /** The first violation ends the world, whoever would have caught it. */
  observe(observation: Observation): void {
    try {
      if (this.scheduler.isStopped) return;
      this.#putBack.see(observation, this.scheduler.now);
      const isOfPutBack = this.#putBack.hasAnswered(observation);
      for (const checker of this.checkers) if (!isOfPutBack || checker.seesPutBack) checker.see(observation, this.scheduler.now);
    } catch (error) {
      this.#violation = error;
      this.scheduler.isStopped = true;
    }
  }

  tell(line: () => string): void {
    this.#story?.(`${(this.scheduler.now / 1000).toFixed(3).padStart(10)}  ${line()}`);
  }

  record(traffic: string): void {
    this.#traffic.update(`${this.scheduler.now} ${traffic}`);
    this.tell(() => traffic.trimEnd().slice(0, SHOWN));
  }

  /** Of all traffic: the same for the same seed. */
  digest(): string {
    return this.#traffic.copy().digest("hex").slice(0, 16);
  }

  count(what: string, times = 1): void {
    if (times > 0) this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  /** @throws Violation, or whatever else broke */
  run(): void {
    this.#begin();
    this.#runFor(this.params.minutes * MINUTE);
    this.#heal();
    expectTold(this, {
      damage: this.#damage,
      users: this.users.filter(({ device }) => device.store === STORE),
      operator: this.#operators[0],
      runFor: (milliseconds) => this.#runFor(milliseconds),
    });
    this.#verify();
    this.#settle();
    this.isOver = true;
    for (const checker of this.checkers) checker.finish(this.scheduler.now);
  }

  #begin(): void {
    const { minutes, actions, hasTenant, hasStock, isGuarded } = this.params;
    const pace = (minutes * MINUTE * this.params.devices) / actions;
    for (const user of this.users) user.start(pace);
    for (const [i, operator] of this.#operators.entries()) operator.start(i === 0);
    const streamIds = () => this.edge.disks.streamIds(STORE);
    for (const reader of this.#readers) void reader.run((minutes * MINUTE) / 12, streamIds);
    if (this.random.fork("tail").chance(0.2)) void this.#reader("tail", STORE, STORE).tail();
    void this.#writer(STORE).run(this.#budget, pace);
    if (isGuarded) for (const store of this.stores) this.observe({ kind: "guarded", store });
    if (isGuarded && hasStock) void this.#raider().run((minutes * MINUTE) / 15);
    if (hasTenant) {
      void this.#writer(TENANT).run(this.#tenantBudget, (minutes * MINUTE) / 10);
      // A caller who holds a token for one store, or one that has expired, asks for the other all the same.
      void this.#reader("stranger", STORE, TENANT).run((minutes * MINUTE) / 5, streamIds);
    }
    void this.#reader("expired", STORE, STORE, 0).run((minutes * MINUTE) / 5, streamIds);
    this.#damage.start();
    this.#habits.start();
    this.edge.start();
    runMicrotasks();
  }

  #heal(): void {
    this.tell(() => "the world heals");
    this.faults.stop();
    this.#budget.left = 0;
    this.#tenantBudget.left = 0;
    this.edge.heal();
    for (const user of this.users) user.heal();
  }

  #verify(): void {
    if (!this.#operators.some(({ mustVerify }) => mustVerify) && !this.edge.hasLostAlarm) return;
    for (const operator of this.#operators) operator.verify();
    for (const [i, store] of this.stores.entries()) {
      for (const streamId of this.edge.disks.streamIds(store)) void this.#readers[i]?.readStream(streamId);
    }
  }

  /** What was late on the way may still come while everything is read. */
  #settle(): void {
    const healedAt = this.scheduler.now;
    let hasGivenTime = false;
    let hasWaited = false;
    for (;;) {
      this.#converge(healedAt);
      const basis = this.#basis();
      this.#readAll();
      if (this.#basis() !== basis || this.#unsettled().length > 0) continue;
      if (!hasGivenTime && this.#isOtherLogShown()) {
        // A device learns of the new log when a request that was lost before the healing has ended, and fetches at its next try what a
        // wider filter adds.
        for (const until = this.scheduler.now + LONGEST_CALL; this.scheduler.now < until; ) this.#tend();
        hasGivenTime = true;
        continue;
      }
      if (hasWaited || !this.users.some((user) => user.hasOpenCalls())) break;
      // Whatever is open now must have ended after that. It may have changed what was read.
      this.#runFor(LONGEST_CALL);
      hasWaited = true;
    }
    for (const user of this.users) user.lookAtCalls();
    this.#runFor(0);
  }

  /**
   * Whether some device shows other events than its log has. In its status a log that was replaced may look like the one before: the
   * position, even the id. And the status of a device that can't send everything does not tell that a wider filter is still being fetched.
   */
  #isOtherLogShown(): boolean {
    return this.stores.some((store, i) => {
      const users = this.users.filter((user) => user.device.store === store && (this.#operators[i]?.hasReplaced || user.mayBeWidening));
      const log = users.length === 0 ? [] : this.edge.disks.readLog(store);
      return users.some((user) => !user.hasShown(log));
    });
  }

  /** What is read depends on the logs, and on the tabs: one that opens may bring another filter. */
  #basis(): string {
    return [...this.stores.map((store) => this.edge.disks.head(store)), ...this.users.map(({ opened }) => opened)].join();
  }

  #converge(healedAt: number): void {
    for (let left = this.#unsettled(); left.length > 0; left = this.#unsettled()) {
      if (this.scheduler.now >= healedAt + CONVERGENCE) {
        const limit = this.#unsettledOnDevices().length > 0 ? CONVERGENCE : CONVERGENCE_AT_EDGE;
        if (this.scheduler.now >= healedAt + limit) throw new NotConverged(left, limit);
      }
      this.#tend();
    }
  }

  #tend(): void {
    for (const user of this.users) void user.tend();
    if (this.params.edgeSubscription !== undefined) for (const operator of this.#operators) void operator.tend();
    this.#runFor(BETWEEN_LOOKS);
  }

  #unsettledOnDevices(): readonly string[] {
    return this.users.flatMap((user) => user.unsettled((scope) => this.edge.disks.head(user.device.store, scope)));
  }

  #unsettled(): readonly string[] {
    const onDevices = this.#unsettledOnDevices();
    // What is at the edge takes longer to find out.
    if (onDevices.length > 0) return onDevices;
    const awaiting = this.users.flatMap((user) => user.awaitingMessages());
    const atEdge = this.stores.flatMap((store) => this.edge.disks.unsettled(store).map((line) => `${store}: ${line}`));
    return [...awaiting, ...atEdge, ...this.#operators.flatMap((operator) => operator.unsettled()), ...this.#habits.unsettled()];
  }

  /** Everything is seen once more. */
  #readAll(): void {
    for (const [i, store] of this.stores.entries()) {
      const reader = this.#readers[i];
      reader?.startAnew();
      this.#wait(async () => {
        while ((await reader?.readPage()) !== false);
        for (const streamId of this.edge.disks.streamIds(store)) await reader?.readStream(streamId);
      });
    }
    for (const operator of this.#operators) this.#wait(() => Promise.all([operator.look(), operator.lookAtHealth()]));
    for (const user of this.users) this.#wait(() => user.lookAtAll());
  }

  #wait(work: () => Promise<unknown>): void {
    let isDone = false;
    void work().then(() => {
      isDone = true;
    });
    runMicrotasks();
    const until = this.scheduler.now + CONVERGENCE;
    while (!isDone) {
      this.#runFor(100);
      if (this.scheduler.now > until) throw new Violation("calls", "what is read in the end is not answered");
    }
  }

  #runFor(milliseconds: number): void {
    this.scheduler.runUntil(Math.min(this.scheduler.now + milliseconds, this.until));
    if (this.#violation !== undefined) throw this.#violation;
    if (this.scheduler.now >= this.until) throw new EndedEarly();
  }

  #user(index: number): User {
    const { devices, hasTenant } = this.params;
    const store = hasTenant && devices > 1 && index === devices - 1 ? TENANT : STORE;
    const name = String.fromCharCode(65 + index);
    return new User(name, store, { ground: apart(this, name), network: this.#network, budget: this.#budget, streams: this.#streams });
  }

  #writer(store: string): Writer {
    const name = `writer of ${store}`;
    return new Writer({ ground: apart(this, name), network: this.#network, name, store, token: goodToken(store) }, this.#streams);
  }

  #raider(): Raider {
    const name = "raider";
    return new Raider({ ground: apart(this, name), network: this.#network, name, store: STORE, token: goodToken(STORE) });
  }

  /** @param until when its token ends */
  #reader(name: string, store: string, granted: string, until = Number.POSITIVE_INFINITY): Reader {
    const token = { stores: [granted], until };
    return new Reader({ ground: apart(this, name), network: this.#network, name, store, token });
  }
}

/** The world is as old as it was to become. */
export class EndedEarly extends Error {}

/** The world is healed, and something still is not in step. */
export class NotConverged extends Error {
  readonly checker = "convergence in time";

  /** @param limit milliseconds */
  constructor(left: readonly string[], limit: number) {
    super(`not in step ${limit / MINUTE} minutes after the healing:\n  ${left.join("\n  ")}`);
  }
}
