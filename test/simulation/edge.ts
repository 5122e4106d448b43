/** The edge: Workers that answer over HTTP, and the objects that they call. */
import type { Commit } from "../../shared/event/commit.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import type { AppendAnswer, FeedPage, FeedQuery, PushAnswer } from "../../shared/wire/wire.ts";
import { failure, type Reply } from "./answers.ts";
import type { HeldToken } from "./checkers/observation.ts";
import { ALARM_TRIES, alarmAgain } from "./edge-alarm.ts";
import { copyOfLog, type LogData, LogInstance, newLog } from "./edge-log.ts";
import { ObjectHost } from "./edge-objects.ts";
import { Push, type PushBody } from "./edge-push.ts";
import { type AppendOutcome, newStream, type StreamData, StreamInstance } from "./edge-stream.ts";
import { Subscribed } from "./edge-subscribed.ts";
import type { Ground } from "./ground.ts";
import { poisonOf } from "./poison.ts";

type StreamHost = ObjectHost<StreamInstance>;

interface Stream {
  readonly host: StreamHost;
  data: StreamData;
}

export interface StoreCopy {
  readonly at: number;
  readonly log: LogData;
  readonly streams: ReadonlyMap<string, { readonly events: readonly RecordedEvent[]; readonly hasAlarm: boolean }>;
}

/** One store at the edge. */
export class EdgeStore {
  readonly id: string;
  readonly log: ObjectHost<LogInstance>;
  data: LogData;
  /** Requests are answered 429 or 503. */
  isOverloaded = false;
  /** Undefined where the edge has no subscription. */
  readonly subscribed: Subscribed | undefined;
  readonly #ground: Ground;
  #logs = 1;

  /** @param apart the ground of its subscription */
  constructor(ground: Ground, apart: Ground, id: string) {
    this.#ground = ground;
    this.id = id;
    this.data = newLog(`${id}-log-1`);
    const wakeLog = () => new LogInstance(this.data, ground, () => this.subscribed?.published());
    const { edgeSubscription: policy } = ground.params;
    this.subscribed = policy && new Subscribed({ ground: apart, store: id, policy, log: () => this.data, wakeLog });
    this.log = new ObjectHost(ground, wakeLog, () => this.subscribed?.logCrashed());
  }

  setLogOutOfReach(isOut: boolean): void {
    this.log.isOutOfReach = isOut;
    this.subscribed?.setLogOutOfReach(isOut);
  }

  /** The log's tables are another's from now on; a new log where none are given. */
  replaceLog(data?: LogData): void {
    this.data = data === undefined ? newLog(`${this.id}-log-${++this.#logs}`) : copyOfLog(data);
    this.log.crash();
    this.subscribed?.logReplaced(data !== undefined);
    this.#ground.tell(() => `operator: ${this.id} has log ${this.data.id} up to #${this.data.events.length}`);
  }
}

export class Edge {
  /** Raised when an operator puts other data in the place of what there was. */
  epoch = 0;
  /** Some stream's alarm was never run. */
  hasLostAlarm = false;
  readonly #ground: Ground;
  readonly #apart: Ground;
  readonly #stores = new Map<string, EdgeStore>();
  /** By the names of their objects. */
  readonly #streams = new Map<string, Stream>();

  /** @param apart the ground of what subscribes */
  constructor(ground: Ground, apart: Ground) {
    this.#ground = ground;
    this.#apart = apart;
  }

  store(id: string): EdgeStore {
    let store = this.#stores.get(id);
    if (store === undefined) {
      store = new EdgeStore(this.#ground, this.#apart, id);
      this.#stores.set(id, store);
    }
    return store;
  }

  get stores(): readonly EdgeStore[] {
    return [...this.#stores.values()];
  }

  feed(storeId: string, token: HeldToken, query: FeedQuery, reply: Reply<FeedPage>): void {
    const store = this.#admit(storeId, token, reply);
    store?.log.call<FeedPage>((log, answer) => answer({ value: log.read(query) }), reply);
  }

  push(storeId: string, token: HeldToken, body: PushBody, reply: Reply<PushAnswer>): void {
    const store = this.#admit(storeId, token, reply);
    if (store === undefined) return;
    const poisons = body.commits.map(({ events }) => poisonOf(events));
    // Reads go on where there is no room left.
    if (store.isOverloaded && this.#ground.random.chance(0.3)) return reply(failure("store-full"));
    if (poisons.includes("refused")) return reply(failure("invalid-request"));
    if (poisons.includes("large") || body.commits.length > this.#ground.params.tooMany) return reply(failure("payload-too-large"));
    const epoch = this.epoch;
    const lives = () => epoch === this.epoch && !this.#ground.faults.strikes("crash-worker");
    new Push({ log: store.log, stream: (streamId) => this.#stream(store, streamId).host, lives }, body, reply).start();
  }

  append(storeId: string, token: HeldToken, commit: Commit, reply: Reply<AppendAnswer>): void {
    const store = this.#admit(storeId, token, reply);
    if (store === undefined) return;
    this.#stream(store, commit.streamId).host.call<AppendOutcome>(
      (stream, answer) => stream.append([commit], "stream", answer),
      (answer) => {
        if (this.#ground.faults.strikes("crash-worker")) return;
        if ("error" in answer) return reply(answer);
        const [result] = answer.value.results;
        if (result?.status === "committed" || result?.status === "duplicate") {
          const { status, ...taken } = result;
          return reply({ value: { ...taken, duplicate: status === "duplicate" } });
        }
        if (result?.status === "conflict") return reply(failure("version-conflict", { actualVersion: result.actualVersion }));
        reply(failure("event-id-reused"));
      },
    );
  }

  read(storeId: string, token: HeldToken, streamId: string, reply: Reply<readonly RecordedEvent[]>): void {
    const store = this.#admit(storeId, token, reply);
    if (store === undefined) return;
    this.#stream(store, streamId).host.call<readonly RecordedEvent[]>((stream, answer) => stream.read(answer), reply);
  }

  #admit<T>(storeId: string, token: HeldToken, reply: Reply<T>): EdgeStore | undefined {
    const { rules, scheduler, random } = this.#ground;
    const store = this.store(storeId);
    const code = rules.refusal(token, storeId, scheduler.now);
    if (code !== undefined) reply(failure(code));
    else if (store.isOverloaded && random.chance(0.8)) {
      reply(failure(random.pick(["too-many-requests", "unavailable"]), { retryAfter: random.between(1, 30) }));
    } else return store;
    return undefined;
  }

  #stream(store: EdgeStore, streamId: string): Stream {
    const name = this.#ground.rules.objectName(store.id, streamId);
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    const stream: Stream = {
      data: newStream(store.id, streamId),
      host: new ObjectHost(this.#ground, (isCurrent) => this.#wake(name, isCurrent)),
    };
    this.#streams.set(name, stream);
    return stream;
  }

  #wake(name: string, isCurrent: () => boolean): StreamInstance {
    const stream = this.#streams.get(name);
    if (stream === undefined) throw new Error("only what exists wakes");
    const { data } = stream;
    const log = () => this.store(data.store).log;
    return new StreamInstance({ ground: this.#ground, data, log, isCurrent, setAlarm: (delay) => this.#setAlarm(stream, delay) });
  }

  #setAlarm(stream: Stream, delay: number): void {
    const { scheduler, random, faults } = this.#ground;
    const alarm = { at: scheduler.now + delay };
    stream.data.alarm = alarm;
    const late = faults.strikes("late-alarm") ? random.between(1, 60_000) : 0;
    scheduler.after(delay + late, () => {
      if (stream.data.alarm !== alarm) return;
      stream.data.alarm = null;
      if (faults.strikes("lost-alarm")) {
        this.hasLostAlarm = true;
        return;
      }
      this.#runAlarm(stream.host, ALARM_TRIES);
      if (faults.strikes("double-alarm")) scheduler.after(random.between(0, 5000), () => this.#runAlarm(stream.host, 0));
    });
  }

  #runAlarm(host: StreamHost, tries: number): void {
    host.call<null>(
      (stream, reply) => stream.alarm(() => reply({ value: null })),
      (answer) => {
        if ("value" in answer || tries === 0) return;
        this.#ground.scheduler.after(alarmAgain(tries), () => this.#runAlarm(host, tries - 1));
      },
    );
  }

  /** All objects lose their memory, and whatever is under way ends: what a restart does. */
  deploy(): void {
    this.epoch++;
    for (const { host } of this.#streams.values()) host.crash();
    for (const { log, subscribed } of this.#stores.values()) {
      log.crash();
      subscribed?.deploy();
    }
  }

  /** One object or another loses its memory. */
  evictOne(): void {
    const hosts = [...this.#streams.values()].map(({ host }) => host);
    const logs = this.stores.map(({ log }) => log);
    this.#ground.random.pick<ObjectHost<LogInstance> | StreamHost>([...hosts, ...logs]).crash();
  }

  copy(store: EdgeStore): StoreCopy {
    const streams = this.#streamsOf(store).map(({ data: { streamId, events, alarm } }) => {
      return [streamId, { events: [...events], hasAlarm: alarm !== null }] as const;
    });
    return { at: this.#ground.scheduler.now, log: copyOfLog(store.data), streams: new Map(streams) };
  }

  /** Puts an older copy of all of a store's objects into their place, or nothing. */
  replaceStore(store: EdgeStore, copy: StoreCopy | undefined): void {
    for (const stream of this.#streamsOf(store)) {
      const { streamId } = stream.data;
      const copied = copy?.streams.get(streamId);
      stream.data = newStream(store.id, streamId, copied?.events);
      stream.host.crash();
      if (copied?.hasAlarm === true) this.#setAlarm(stream, 0);
    }
    store.replaceLog(copy?.log);
    this.deploy();
  }

  /** Streams that hold more than the log. */
  unpublished(store: EdgeStore): readonly { readonly streamId: string; readonly version: number; readonly head: number }[] {
    return this.#streamsOf(store)
      .map(({ data: { streamId, events } }) => ({ streamId, version: events.length, head: store.data.places.get(streamId)?.length ?? 0 }))
      .filter(({ version, head }) => version !== head);
  }

  streamIds(store: EdgeStore): readonly string[] {
    return this.#streamsOf(store).map(({ data }) => data.streamId);
  }

  #streamsOf(store: EdgeStore): readonly Stream[] {
    return [...this.#streams.values()].filter(({ data }) => data.store === store.id);
  }
}
