/**
 * A person's device is behind a wall: something between the device and the edge that stands until the habit has seen what it wants to see.
 * The world's other faults end before. For each wall it is known what gets through, and what the status says. Nothing may be parked, and when
 * the wall is gone everything is at the edge.
 */
import type { Status } from "../../../client/sync/status.ts";
import { Device } from "../device.ts";
import { apart } from "../ground.ts";
import { eventId } from "../identity.ts";
import { Script } from "../script.ts";
import { cut, moved, newAddressOf, page } from "../strangers.ts";
import type { Store, StoreOptions, Tab } from "../tab.ts";
import { signToken } from "../token.ts";
import { browserOf } from "./browser.ts";
import { all, certainly, compare, type Habit, type HabitParts, nowAndThen } from "./habit.ts";
import { openTab } from "./open-tab.ts";

const STORE = "walled";
const STREAMS = ["Note-1", "Note-2", "Note-3", "Note-4"];
/** The word that a firewall dislikes. */
const DISLIKED = "drop table";
/** Characters of a body, or of an answer, that a wall lets through: more than one commit or one event has. */
const MOST = 1_500;
/** Milliseconds in which the status of a device behind a wall must not change its mind. */
const WATCHED = 90_000;

type Send = (url: string, init: RequestInit) => Promise<Response>;

interface Wall {
  /** What comes of a request. */
  pass(url: string, init: RequestInit, send: Send): Promise<Response>;
  readonly refusesSockets?: boolean;
  /** Whether commits to a stream wait at the wall. */
  holds(data: readonly string[]): boolean;
  /** A part of what the status says while the wall stands; undefined if nothing is wrong. */
  readonly tells: string | undefined;
}

function wallOf({ ground: { random } }: HabitParts): Wall {
  const status = random.pick([400, 401, 403, 404, 406, 413]);
  const isPush = ({ body }: RequestInit) => body !== undefined;
  const walls: readonly Wall[] = [
    {
      pass: async (url, init, send) => (String(init.body).includes(DISLIKED) ? page(random, status) : send(url, init)),
      holds: (data) => data.includes(DISLIKED),
      tells: "does not get through",
    },
    {
      pass: async (url, init, send) => (String(init.body ?? "").length > MOST ? page(random, 413) : send(url, init)),
      holds: () => false,
      tells: undefined,
    },
    {
      pass: async (url, init, send) => {
        const answer = await send(url, init);
        const { length } = await answer.clone().text();
        return length > MOST ? cut(random, answer) : answer;
      },
      holds: () => false,
      tells: undefined,
    },
    { pass: moved, holds: () => true, tells: newAddressOf("http://edge/") },
    {
      pass: async (url, init, send) => (isPush(init) ? page(random, status) : send(url, init)),
      holds: () => true,
      tells: `HTTP status ${status}`,
    },
    { pass: (url, init, send) => send(url, init), refusesSockets: true, holds: () => false, tells: "feed socket" },
    {
      pass: (url, init, send) => (String(init.body).includes(DISLIKED) ? swallowed(init) : send(url, init)),
      holds: (data) => data.includes(DISLIKED),
      tells: "does not get through",
    },
  ];
  return random.pick(walls);
}

/** No answer comes, until the caller gives up. */
function swallowed({ signal }: RequestInit): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
}

export const runWalled: Habit = async (parts) => {
  const walled = new Walled(parts);
  await walled.open();
  await nowAndThen(parts, walled.loop, () => walled.act());
  await walled.finish();
};

class Walled {
  readonly loop: Script;
  readonly #parts: HabitParts;
  readonly #device: Device;
  readonly #token: string;
  readonly #wall: Wall;
  #stands = true;
  #tabs = 0;
  #tab: Tab | undefined;
  /** The data of the events of each stream, in order. */
  readonly #made = new Map<string, string[]>(STREAMS.map((streamId) => [streamId, []]));
  #number = 0;

  constructor(parts: HabitParts) {
    const { ground, network, name } = parts;
    this.#parts = parts;
    this.loop = new Script(ground, name, network);
    const held = { stores: [STORE], until: Number.POSITIVE_INFINITY };
    this.#device = new Device(apart(ground, `device of ${name}`), name, STORE, held, browserOf(ground.random, 1));
    this.#token = signToken(name, held);
    this.#wall = wallOf(parts);
  }

  async open(): Promise<void> {
    const nextName = () => `${this.#parts.name}.${++this.#tabs}`;
    this.#tab = await openTab(this.#parts, this.#device, this.loop, nextName, (tab) => this.#options(tab));
  }

  #options(tab: Tab): StoreOptions {
    const through = this.#parts.network.fetchOf(tab, this.#device);
    const send: Send = (url, init) => through(url, init);
    const walled = (url: string, init: RequestInit = {}) => (this.#stands ? this.#wall.pass(url, init, send) : send(url, init));
    // The edge has no such route, and answers with a page instead of an upgrade.
    const addressOf = (url: string) => (this.#stands && this.#wall.refusesSockets ? url.replace("/v1/", "/v0/") : url);
    const webSocket = (url: string, protocols: string[]) => new tab.WebSocket(addressOf(url), protocols);
    const token = () => this.#token;
    return {
      name: STORE,
      limits: { pageEvents: 50 },
      sync: { url: `http://edge/v1/${STORE}`, token, fetch: walled as typeof fetch, webSocket, pollEvery: 5_000 },
    };
  }

  get #store(): Store {
    const store = this.#tab?.store;
    if (store === undefined) throw new Error("The tab is not open.");
    return store;
  }

  async act(): Promise<void> {
    const { random } = this.#parts.ground;
    for (let commits = random.between(1, 8); commits > 0; commits--) await this.#append(random.pick(STREAMS));
  }

  async #append(streamId: string, isDisliked = this.#parts.ground.random.chance(0.15)): Promise<void> {
    const { client } = this.#tab ?? this.loop;
    const id = eventId(this.#parts.name, ++this.#number);
    const data = isDisliked ? DISLIKED : `${this.#number} ${"x".repeat(this.#parts.ground.random.between(1, 200))}`;
    await certainly(client, this.loop, () => this.#store.appendToStream(streamId, [{ id, type: "Noted", data }]));
    this.#made.get(streamId)?.push(data);
  }

  async finish(): Promise<void> {
    const { tells, holds } = this.#wall;
    // Each wall has something to hold, and something to let through.
    await this.#append("Note-1", true);
    for (const streamId of ["Note-2", "Note-3", "Note-4", "Note-2", "Note-3", "Note-4"]) await this.#append(streamId, false);
    // Requests that the world's faults have cut off are given up by then.
    await this.loop.pause(60_000);
    const passing = [...this.#made].flatMap(([streamId, data]) => (data.some((_, i) => holds(data.slice(0, i + 1))) ? [] : [streamId]));
    await this.#until(async ({ problem, pending }) => {
      if (tells === undefined) return problem === null && pending === 0;
      if (problem?.message.includes(tells) !== true) return false;
      const there = await this.#atEdge();
      return passing.every((streamId) => there.get(streamId)?.length === this.#made.get(streamId)?.length);
    });
    await this.#watch(tells);
    compare(this.#parts, "conflicts behind a wall", this.#store.conflicts().length, 0);
    this.#stands = false;
    await this.#until(({ problem, pending, connection }) => problem === null && pending === 0 && connection === "online");
    compare(this.#parts, "conflicts when the wall is gone", this.#store.conflicts().length, 0);
    compare(this.#parts, "what is at the edge", await this.#atEdge(), this.#made);
    await this.#store.close();
    this.#tab?.die();
  }

  async #until(isSo: (status: Status) => boolean | Promise<boolean>): Promise<void> {
    while (!(await isSo(this.#store.status))) await this.loop.pause(1_000);
  }

  /** What is wrong is said all the time, and nobody is told to log in again: the token is good. */
  async #watch(tells: string | undefined): Promise<void> {
    const seen: Status[] = [];
    const live = this.#store.liveStatus();
    const end = live.subscribe(() => seen.push(live.getSnapshot()));
    await this.loop.pause(WATCHED);
    end();
    if (tells === undefined) return;
    const silent = seen.filter(({ problem }) => problem === null);
    compare(this.#parts, "statuses without a problem while a wall stands", silent, []);
    const connections = [...new Set(seen.map(({ connection }) => connection))].filter((connection) => connection !== "online");
    compare(this.#parts, "what the connection also was behind a wall", connections, []);
  }

  async #atEdge(): Promise<Map<string, string[]>> {
    const { client } = this.loop;
    const edge = client.connectStore({ url: `http://edge/v1/${STORE}`, token: () => this.#token });
    const there = await certainly(client, this.loop, () => all(edge.readAll()));
    return new Map(STREAMS.map((id) => [id, there.filter(({ streamId }) => streamId === id).map(({ data }) => String(data))]));
  }
}
