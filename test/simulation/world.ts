/**
 * A world: devices with their tabs and apps, an edge with its operator, others who read and write there, and all possible faults between
 * them. Its parameters decide all of it, bit for bit.
 *
 *     things go wrong, and every promise of safety is checked at every step
 *        └──► heal: nothing goes wrong any more, users and operators do their part
 *               └──► all must be in step within CONVERGENCE; everything that is not is named
 *                      └──► everything is read once more, and each checker makes its final check
 *
 * What users and operators do when the world heals: each device runs at least one tab; tokens are renewed; a user whose device has diverged
 * resets it and keeps the pending commits; a user who syncs by hand does so now and then. If a subscription at the edge has stopped, it is
 * resumed, or it is reset if its log is another one. Its dead letters are replayed.
 */
import type { Budget, Memory } from "./app.ts";
import type { Checker } from "./checkers/checker.ts";
import { allCheckers } from "./checkers/index.ts";
import type { Observation } from "./checkers/observation.ts";
import { Edge } from "./edge.ts";
import { Faults } from "./faults.ts";
import { apart, type Ground } from "./ground.ts";
import { SHELF } from "./models/stock-app.ts";
import { Network } from "./network.ts";
import { Operator } from "./operator.ts";
import { Reader, Writer } from "./outside.ts";
import type { Params } from "./params.ts";
import { Random } from "./random.ts";
import type { Rules } from "./rules.ts";
import { Scheduler } from "./scheduler.ts";
import { unsettled } from "./unsettled.ts";
import { User } from "./user.ts";

const MINUTE = 60_000;
/** Milliseconds from the healing until all must be in step: the longest backoff of an alarm (300 s), and of a device after it. */
export const CONVERGENCE = 10 * MINUTE;
/** What happens in a world at most; more is something that turns in circles. */
const MOST_STEPS = 2_000_000;

/** The store that the devices follow, and another one at the same edge. */
export const STORE = "main";
export const TENANT = "other";

export type Story = (line: string) => void;

export class World implements Ground {
  readonly params: Params;
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly faults: Faults;
  readonly rules: Rules;
  readonly beside: Ground["beside"];
  readonly checkers: readonly Checker[] = allCheckers();
  /** What happened, by name. */
  readonly counts = new Map<string, number>();
  readonly users: readonly User[];
  readonly edge: Edge;
  /** Of what subscribes at the edge. */
  readonly #subscribing: Ground;
  readonly #network: Network;
  readonly #operator: Operator;
  readonly #readers: readonly Reader[];
  readonly #streams: readonly string[];
  readonly #budget: Budget;
  readonly #stockBudget: Budget;
  readonly #tenantBudget: Budget = { left: 10 };
  readonly #story: Story | undefined;

  constructor(params: Params, rules: Rules, story?: Story) {
    this.params = params;
    this.rules = rules;
    this.#story = story;
    this.random = new Random(params.seed, "world");
    this.faults = new Faults(params.faults, this.random.fork("faults"), this.scheduler, params.minutes * MINUTE);
    this.beside = { random: this.random.fork("beside"), faults: this.faults.beside(this.random.fork("faults beside")) };
    const faultsApart = this.faults.beside(this.random.fork("faults of edge subscriptions"));
    this.#subscribing = apart(this, this.random.fork("edge subscriptions"), faultsApart);
    this.edge = new Edge(this, this.#subscribing);
    this.#network = new Network(this);
    this.#budget = { left: params.actions };
    this.#stockBudget = { left: Math.ceil(params.actions / 2) };
    this.#streams = Array.from({ length: params.streams }, (_, i) => `${i % 3 === 2 ? "Ticket" : "Permit"}-${i + 1}`);
    this.#operator = new Operator(this, this.edge, this.edge.store(STORE));
    const stores = params.hasTenant ? [STORE, TENANT] : [STORE];
    this.#readers = stores.map((store) => this.#reader(this.edge.store(store).id, store));
    this.users = Array.from({ length: params.devices }, (_, i) => this.#user(i));
  }

  observe(observation: Observation): void {
    for (const checker of this.checkers) checker.see(observation, this.scheduler.now);
  }

  tell(line: () => string): void {
    this.#story?.(`${(this.scheduler.now / 1000).toFixed(3).padStart(10)}  ${line()}`);
  }

  epoch(): number {
    return this.edge.epoch;
  }

  count(what: string, times = 1): void {
    if (times > 0) this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  /** @throws Violation, or whatever else broke */
  run(): void {
    this.#begin();
    this.#runFor(this.params.minutes * MINUTE);
    this.#heal();
    this.#settle();
    for (const checker of this.checkers) checker.finish(this.scheduler.now);
  }

  #begin(): void {
    const { minutes, actions, hasTenant } = this.params;
    const pace = (minutes * MINUTE * this.params.devices) / actions;
    for (const user of this.users) user.start(pace);
    this.#operator.start();
    const streamIds = () => this.edge.streamIds(this.edge.store(STORE));
    for (const reader of this.#readers) reader.start((minutes * MINUTE) / 30, streamIds);
    this.#writer(STORE).start(this.#budget, pace);
    if (hasTenant) {
      this.#writer(TENANT).start(this.#tenantBudget, (minutes * MINUTE) / 10);
      // Whoever holds a token for one store, or none that is still good, asks for the other all the same.
      this.#reader(STORE, TENANT).start((minutes * MINUTE) / 10, streamIds);
    }
    this.#reader(STORE, STORE, 0).start((minutes * MINUTE) / 10, streamIds);
    this.#troubleEdge();
    for (const { subscribed } of this.edge.stores) subscribed?.start();
  }

  #troubleEdge(): void {
    const { faults, scheduler } = this;
    const store = this.edge.store(STORE);
    faults.recur("evict", () => {
      this.edge.evictOne();
      return true;
    });
    faults.recur("log-outage", () => {
      store.setLogOutOfReach(true);
      scheduler.after(faults.while(), () => store.setLogOutOfReach(false));
      return true;
    });
    faults.recur("overload", () => {
      store.isOverloaded = true;
      scheduler.after(faults.while(), () => {
        store.isOverloaded = false;
      });
      return true;
    });
  }

  #heal(): void {
    this.tell(() => "the world heals");
    this.faults.stop();
    this.beside.faults.stop();
    this.#subscribing.faults.stop();
    this.#budget.left = 0;
    this.#stockBudget.left = 0;
    this.#tenantBudget.left = 0;
    const store = this.edge.store(STORE);
    store.setLogOutOfReach(false);
    store.isOverloaded = false;
    for (const user of this.users) user.heal();
    if (!this.#operator.mustVerify && !this.edge.hasLostAlarm) return;
    this.#operator.verify();
    for (const [i, each] of this.edge.stores.entries()) {
      for (const streamId of this.edge.streamIds(each)) this.#readers[i]?.readStream(streamId);
    }
  }

  /** What was late on the way may still come while everything is read. */
  #settle(): void {
    const until = this.scheduler.now + CONVERGENCE;
    for (;;) {
      this.#converge(until);
      const heads = this.#heads();
      this.#readAll();
      if (this.#heads() === heads && unsettled(this).length === 0) return;
    }
  }

  #heads(): string {
    return this.edge.stores.map(({ data }) => data.events.length).join();
  }

  #converge(until: number): void {
    for (let left = unsettled(this); left.length > 0; left = unsettled(this)) {
      if (this.scheduler.now >= until) throw new NotConverged(left);
      for (const user of this.users) user.tend();
      for (const { subscribed } of this.edge.stores) subscribed?.tend();
      this.#runFor(2000);
    }
  }

  /** Everything is seen once more. */
  #readAll(): void {
    for (const [i, store] of this.edge.stores.entries()) {
      const reader = this.#readers[i];
      reader?.startAnew();
      this.#wait((done) => {
        const next = (hasMore: boolean | undefined) => (hasMore === false ? done() : reader?.readPage(next));
        reader?.readPage(next);
      });
      for (const streamId of this.edge.streamIds(store)) this.#wait((done) => reader?.readStream(streamId, done));
    }
    for (const { subscribed } of this.edge.stores) subscribed?.show();
    for (const { device } of this.users) device.lookAtAll(this.params.hasStock ? [...this.#streams, SHELF] : this.#streams);
  }

  #wait(work: (done: () => void) => void): void {
    let isDone = false;
    work(() => {
      isDone = true;
    });
    while (!isDone) this.#runFor(100);
  }

  #runFor(milliseconds: number): void {
    this.scheduler.runUntil(this.scheduler.now + milliseconds);
    if (this.scheduler.steps > MOST_STEPS) throw new Error(`more than ${MOST_STEPS} steps: something turns in circles`);
  }

  #user(index: number): User {
    const { devices, hasTenant } = this.params;
    const store = hasTenant && devices > 1 && index === devices - 1 ? TENANT : STORE;
    const memory: Memory = { commits: [], made: 0 };
    const parts = {
      ground: this,
      network: this.#network,
      edge: this.edge,
      budget: this.#budget,
      stockBudget: this.#stockBudget,
      streams: this.#streams,
      memory,
    };
    return new User(String.fromCharCode(65 + index), store, parts);
  }

  #writer(store: string): Writer {
    const token = { stores: [store], until: Number.POSITIVE_INFINITY };
    return new Writer({ ground: this, network: this.#network, edge: this.edge, store, token }, this.#streams);
  }

  /** @param until when its token ends */
  #reader(store: string, granted: string, until = Number.POSITIVE_INFINITY): Reader {
    return new Reader({ ground: this, network: this.#network, edge: this.edge, store, token: { stores: [granted], until } });
  }
}

/** The world is healed, and something still is not in step. */
export class NotConverged extends Error {
  readonly checker = "convergence in time";

  constructor(left: readonly string[]) {
    super(`not in step ${CONVERGENCE / MINUTE} minutes after the healing:\n  ${left.join("\n  ")}`);
  }
}
