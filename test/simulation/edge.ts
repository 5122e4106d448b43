/**
 * The edge: the Worker as it ships, with its objects, on the stand-in of their platform (`worker/testing/`). Requests come from the network,
 * and from an operator beside it. After a deployment, old Workers answer for a while, and objects that were not restarted yet are old too.
 */
import { DatabaseSync } from "node:sqlite";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { CallFate } from "../../worker/testing/clock.ts";
import type { ObjectClass } from "../../worker/testing/object.ts";
import { openPlatform, type Platform } from "../../worker/testing/objects.ts";
import type { StorageCopy } from "../../worker/testing/storage.ts";
import { Disks } from "./edge-disks.ts";
import { readFault, readLine } from "./edge-log.ts";
import { EPOCH, type Ground } from "./ground.ts";
import { Rollout } from "./habits/rollout.ts";
import { registeredTypes } from "./habits/types.ts";
import { Handler } from "./handler.ts";
import { SUBSCRIBED } from "./models/ledger.ts";
import { type AppVersion, type StockWitness, stockDecider } from "./models/stock.ts";
import type { Destination, EdgeResponse } from "./network.ts";
import type { Product } from "./platform/bundle.ts";
import { cryptoOf } from "./platform/crypto.ts";
import { dateOf, timersOf } from "./platform/date.ts";
import { BODY_BYTES, EVENT_BYTES, poisonOf } from "./poison.ts";
import { SECRET } from "./token.ts";

/** A store's objects, as they were at a moment. */
export interface StoreCopy {
  readonly at: number;
  readonly head: number;
  readonly log: StorageCopy;
  /** By their names. */
  readonly streams: ReadonlyMap<string, StorageCopy>;
}

type Objects = ReturnType<Platform["objects"]>;
type Spell = "log-outage" | "overload" | "no-room-at-edge";

/** What `createEdge` returns, in the version of an isolate. */
interface Version extends Record<(typeof CLASSES)[Binding], ObjectClass> {
  fetch(request: Request, env: object, context: object): EdgeResponse | Promise<EdgeResponse>;
}

type Binding = keyof typeof CLASSES;

/** The exported class of each binding. */
const CLASSES = { STREAMS: "StreamObject", LOGS: "LogObject", SUBSCRIPTIONS: "SubscriptionObject" } as const;
const BINDINGS = Object.keys(CLASSES) as readonly Binding[]; // the keys of a literal
const SUBSCRIPTION = "worker";
/** Milliseconds in which old Workers still answer after a deployment. */
const ROLLOUT = 30_000;
/** Milliseconds: https://developers.cloudflare.com/durable-objects/concepts/durable-object-lifecycle/ */
const IDLE = [70_000, 140_000] as const;
const CONTEXT = { waitUntil: () => undefined, passThroughOnException: () => undefined };

export class Edge implements Destination {
  /** Some alarm never went off. */
  hasLostAlarm = false;
  readonly disks: Disks;
  readonly #ground: Ground;
  readonly #platform: Platform;
  readonly #handler: Handler;
  readonly #rollout: Rollout;
  /** The newest last. */
  #versions: readonly Version[];
  #deployedAt = Number.NEGATIVE_INFINITY;
  #isLogOut = false;
  #isOverloaded = false;
  /** The object that has no room. */
  #full: string | undefined;
  /** Requests that are not answered yet. */
  readonly #atWork = new Set<WorkerAtWork>();

  constructor(ground: Ground) {
    this.#ground = ground;
    this.#rollout = new Rollout(ground.params, ground.scheduler);
    this.#handler = new Handler(ground, (store) => this.#kill("SUBSCRIPTIONS", `${store}/${SUBSCRIPTION}`));
    this.#versions = [this.#load()];
    const { random, scheduler } = ground;
    this.#platform = openPlatform({
      bindings: BINDINGS,
      classOf: (binding) => this.#version()[CLASSES[binding as Binding]],
      vars: { AUTH: "jwt", JWT_SECRET: SECRET, LOG: "faults" },
      clock: { now: () => EPOCH + scheduler.now, after: (milliseconds, run) => scheduler.after(milliseconds, run) },
      openDatabase: () => new DatabaseSync(":memory:"),
      faults: {
        callLatency: () => random.between(0, 3),
        writeLatency: () => random.between(0, 5),
        call: (binding) => this.#fateOfCall(binding),
        isFull: (object) => object === this.#full,
        alarmLatency: () => this.#alarmLatency(),
      },
      onUncaught: (error, object) => readFault(ground, object, String(error)),
    });
    this.disks = new Disks(this.#platform);
  }

  /** A new isolate with the Worker. */
  #load(): Version {
    const { product, scheduler, random, params } = this.#ground;
    const loop = {
      get now() {
        return scheduler.now;
      },
      post: (milliseconds: number, task: () => void) => void scheduler.after(milliseconds, task),
    };
    const own = random.fork(`worker ${scheduler.now}`);
    const worker = product.worker({
      ...timersOf(loop),
      console: { log: () => undefined, error: (line: unknown) => readLine(this.#ground, String(line)) },
      Math: Object.assign(Object.create(Math), { random: () => own.next() }),
      Date: dateOf(() => EPOCH + scheduler.now),
      crypto: cryptoOf(own),
      fetch: () => Promise.reject(new Error("JWT_JWKS: nothing answers there.")),
      WebSocket: { OPEN: WebSocket.OPEN },
    });
    const { edgeSubscription: policy, tooMany } = params;
    const version = this.#rollout.atEdge();
    const rules = this.#rules(worker, version);
    const subscription = policy && {
      category: SUBSCRIBED,
      batchSize: policy.batchSize,
      retries: policy.retries,
      onFailure: policy.onFailure,
      maxConsecutiveDeadLetters: policy.maxConsecutiveDeadLetters,
      handle: (events: readonly ConfirmedEvent[], _env: unknown, context: Parameters<Handler["handle"]>[1]) =>
        this.#handler.handle(events, context, loop, worker, { stock: rules.deciders?.Stock, version }),
    };
    const edge: unknown = worker.createEdge({
      limits: { eventBytes: EVENT_BYTES, bodyBytes: BODY_BYTES, pushCommits: tooMany },
      ...rules,
      ...(subscription !== undefined && { subscriptions: { [SUBSCRIPTION]: subscription } }),
    });
    return edge as Version; // with the types of the stand-in in the place of the platform's
  }

  /** Of the app, as the Worker of this version knows it. */
  #rules(worker: ReturnType<Product["worker"]>, version: AppVersion) {
    const { params } = this.#ground;
    const onDecide: StockWitness["onDecide"] = (key, by, form) =>
      this.#ground.observe({ kind: "decides", where: "the edge", key, version: by, form });
    const eventTypes = registeredTypes(worker, params, { ofEvents: 2, ofCommands: version });
    return { ...(eventTypes && { eventTypes }), ...(params.isGuarded && { deciders: { Stock: stockDecider({ onDecide }, version) } }) };
  }

  /** The Worker that answers, or the one whose class a new instance of an object has. */
  #version(): Version {
    const { random, scheduler } = this.#ground;
    const [newest, before] = [this.#versions.at(-1), this.#versions.at(-2)];
    const isRollout = scheduler.now < this.#deployedAt + ROLLOUT;
    return (isRollout && before !== undefined && random.chance(0.5) ? before : newest) as Version; // there is always one
  }

  async handle(request: Request): Promise<EdgeResponse> {
    const { faults, random, scheduler } = this.#ground;
    if (this.#isOverloaded && random.chance(0.7)) {
      const body = JSON.stringify({ type: "about:blank", title: "", status: 429, code: "too-many-requests", detail: "", retryAfter: 1 });
      return new Response(body, { status: 429, headers: { "content-type": "application/problem+json", "retry-after": "1" } });
    }
    const worker = new WorkerAtWork();
    const answer = Promise.resolve(this.#version().fetch(request, this.#envOf(worker), CONTEXT));
    if (faults.strikes("crash-worker")) {
      scheduler.after(random.between(0, 30), () => worker.die());
      return worker.died;
    }
    this.#atWork.add(worker);
    return Promise.race([answer, worker.died]).finally(() => this.#atWork.delete(worker));
  }

  /** As an operator who is beside the edge: nothing is lost on the way. */
  async direct(request: Request, vars: object = {}): Promise<Response> {
    const response = await this.#version().fetch(request, { ...this.#envOf({ isGone: false }), ...vars }, CONTEXT);
    this.#ground.record(`${request.method} ${request.url} directly ${response.status}\n`);
    return response;
  }

  /** The environment of one request: a Worker that died calls nobody any more, and a poisoned commit kills its stream's object. */
  #envOf(worker: { readonly isGone: boolean }): object {
    const { env } = this.#platform;
    const wrapped = Object.entries(env).map(([binding, value]) => {
      if (!isBinding(value)) return [binding, value] as const;
      return [binding, { getByName: (name: string) => this.#stub(binding, name, value.getByName(name), worker) }] as const;
    });
    return Object.fromEntries(wrapped);
  }

  #stub(binding: string, name: string, stub: object, worker: { readonly isGone: boolean }): object {
    return new Proxy(stub, {
      get: (target, method) => {
        const call: unknown = Reflect.get(target, method);
        if (typeof call !== "function") return call;
        return async (...given: readonly unknown[]) => {
          if (worker.isGone) return new Promise(() => undefined);
          if (binding === "STREAMS" && method === "append" && isPoisoned(given[1])) {
            this.#kill(binding, name);
            throw new Error("The object died of this commit.");
          }
          return call(...given);
        };
      },
    });
  }

  #fateOfCall(binding: string): CallFate {
    const { faults, random } = this.#ground;
    if (binding === "LOGS" && this.#isLogOut) return "lost-before";
    return faults.strikes("lose-call") ? random.pick(["lost-before", "lost-after", "overloaded"] as const) : "ok";
  }

  /** Milliseconds by which an alarm is late; some never go off. */
  #alarmLatency(): number {
    const { faults, random } = this.#ground;
    if (faults.strikes("lost-alarm")) {
      this.hasLostAlarm = true;
      return Number.POSITIVE_INFINITY;
    }
    return faults.strikes("late-alarm") ? random.spread(1000, 60_000) : 0;
  }

  start(): void {
    const { faults, scheduler } = this.#ground;
    this.#evictIdle();
    faults.recur("evict", () => this.#withOne((objects, name) => objects.evict(name)));
    faults.recur("crash-object", () =>
      this.#withOne((_, name, binding) => {
        this.#kill(binding, name);
        return true;
      }),
    );
    faults.recur("deploy", () => {
      this.#deploy();
      return true;
    });
    if (Number.isFinite(this.#rollout.edgeAt)) {
      scheduler.after(this.#rollout.edgeAt, () => this.#deploy());
      // An old Worker may have begun objects anew while the deployment was under way.
      scheduler.after(this.#rollout.edgeAt + ROLLOUT, () => this.restartAll());
    }
    this.#spell("log-outage", () => {
      this.#isLogOut = true;
    });
    this.#spell("overload", () => {
      this.#isOverloaded = true;
    });
    this.#spell("no-room-at-edge", () => {
      this.#withOne((_, name) => {
        this.#full = name;
        return true;
      });
    });
  }

  #deploy(): void {
    const { scheduler, random } = this.#ground;
    this.#ground.tell(() => `edge: is deployed, with version ${this.#rollout.atEdge()} of the app`);
    this.#versions = [...this.#versions.slice(-1), this.#load()];
    this.#deployedAt = scheduler.now;
    // Each object is restarted at a moment of its own.
    for (const [binding, name] of this.#objects()) scheduler.after(random.between(0, ROLLOUT), () => this.#kill(binding, name));
  }

  /** As the platform does with objects that nobody has called for a while. */
  #evictIdle(): void {
    const { scheduler, random } = this.#ground;
    scheduler.after(random.between(...IDLE), () => {
      for (const [, name, objects] of this.#objects()) objects.evict(name);
      this.#evictIdle();
    });
  }

  #spell(fault: Spell, begin: () => void): void {
    const { faults, scheduler } = this.#ground;
    faults.recur(fault, () => {
      this.#ground.tell(() => `edge: ${fault}`);
      begin();
      scheduler.after(faults.while(), () => this.#end(fault));
      return true;
    });
  }

  #end(fault: Spell): void {
    if (fault === "log-outage") this.#isLogOut = false;
    else if (fault === "overload") this.#isOverloaded = false;
    else this.#full = undefined;
  }

  heal(): void {
    for (const fault of ["log-outage", "overload", "no-room-at-edge"] as const) this.#end(fault);
  }

  #objects(): readonly (readonly [binding: string, name: string, objects: Objects])[] {
    return BINDINGS.flatMap((binding) => {
      const objects = this.#platform.objects(binding);
      return objects.names().map((name) => [binding, name, objects] as const);
    });
  }

  #withOne(act: (objects: Objects, name: string, binding: string) => boolean): boolean {
    const all = this.#objects();
    if (all.length === 0) return false;
    const [binding, name, objects] = this.#ground.random.pick(all);
    return act(objects, name, binding);
  }

  #kill(binding: string, name: string): void {
    this.#ground.tell(() => `edge: ${binding} ${name} dies`);
    this.#platform.objects(binding).kill(name);
    if (binding === "SUBSCRIPTIONS") this.#ground.observe({ kind: "edge-killed", store: name.slice(0, name.indexOf("/")) });
  }

  /** Frees what the objects hold. */
  close(): void {
    this.#platform.close();
  }

  /** Restarts every object, with the Worker that there is. */
  restartAll(): void {
    for (const [binding, name] of this.#objects()) this.#kill(binding, name);
  }

  copy(store: string): StoreCopy {
    const streams = new Map(this.disks.streamNames(store).map((name) => [name, this.#platform.objects("STREAMS").copy(name)]));
    return { at: this.#ground.scheduler.now, head: this.disks.head(store), log: this.#platform.objects("LOGS").copy(store), streams };
  }

  /**
   * Puts an older copy of all of a store's streams and of its log into their place, or nothing. Nobody is at work meanwhile: an event that is on
   * its way from a stream to the log would be in the log alone.
   */
  replaceStore(store: string, copy: StoreCopy | undefined): void {
    for (const worker of this.#atWork) worker.die();
    for (const name of this.disks.streamNames(store)) this.#replace("STREAMS", name, copy?.streams.get(name));
    this.replaceLog(store, copy);
    this.restartAll();
  }

  replaceLog(store: string, copy: StoreCopy | undefined): void {
    this.#replace("LOGS", store, copy?.log);
  }

  #replace(binding: string, name: string, copy: StorageCopy | undefined): void {
    const objects = this.#platform.objects(binding);
    if (copy === undefined) objects.delete(name);
    else objects.restore(name, copy);
  }

  /** Whether the handler of a subscription has ever been handed this event. */
  wasHanded(id: string): boolean {
    return this.#handler.wasHanded(id);
  }

  /** The objects of a binding, for faults of their storage. */
  objects(binding: Binding): Objects {
    return this.#platform.objects(binding);
  }
}

/** The Worker of one request. It dies between two steps: what it has called goes on, and nothing more is called. */
class WorkerAtWork {
  isGone = false;
  readonly #end = Promise.withResolvers<never>();

  /** Rejects when it dies. */
  get died(): Promise<never> {
    return this.#end.promise;
  }

  die(): void {
    this.isGone = true;
    this.#end.reject(new Error("The Worker died."));
  }
}

function isBinding(value: unknown): value is { getByName(name: string): object } {
  return typeof value === "object" && value !== null && "getByName" in value;
}

function isPoisoned(commits: unknown): boolean {
  const some: readonly { readonly events: Parameters<typeof poisonOf>[0] }[] = Array.isArray(commits) ? commits : [];
  return some.some(({ events }) => poisonOf(events) === "fails");
}
