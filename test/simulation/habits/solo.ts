/**
 * A person who is alone with a device and a store. At first the store lives on the device alone. Later the app, in its second version, opens
 * it with sync, through a proxy that does not always let requests through. The person knows every event of the store, so everything can be
 * compared with that.
 */
import type { NewEvent } from "../../../shared/event/event.ts";
import { Device } from "../device.ts";
import { apart } from "../ground.ts";
import { eventId } from "../identity.ts";
import { Script } from "../script.ts";
import type { Store, StoreOptions, Tab } from "../tab.ts";
import { signToken } from "../token.ts";
import { browserOf } from "./browser.ts";
import { all, certainly, compare, errorOf, type Habit, type HabitParts, insist, nowAndThen } from "./habit.ts";
import { lookAround } from "./look-around.ts";
import { makeMistakes } from "./mistakes.ts";
import { openTab } from "./open-tab.ts";
import { eventTypesOf } from "./types.ts";

const SOLO_STORE = "alone";
const STREAMS = ["Permit-1", "Permit-2", "Ticket-1", "Diary"];

interface Made {
  readonly streamId: string;
  readonly id: string;
}

export const runSolo: Habit = async (parts) => {
  const solo = new Solo(parts);
  await solo.open();
  await nowAndThen(parts, solo.loop, () => solo.act());
  await solo.finish();
};

class Solo {
  /** Goes on whatever happens to tabs. */
  readonly loop: Script;
  readonly #parts: HabitParts;
  readonly #device: Device;
  readonly #token: string;
  readonly #durability: "strict" | "relaxed";
  /** In the order of the device. */
  #made: Made[] = [];
  #number = 0;
  #tabs = 0;
  #isSynced = false;
  #tab: Tab | undefined;

  constructor(parts: HabitParts) {
    const { ground, network, name } = parts;
    const { random } = ground;
    this.#parts = parts;
    this.loop = new Script(ground, name, network);
    const held = { stores: [SOLO_STORE], until: Number.POSITIVE_INFINITY };
    this.#device = new Device(apart(ground, `device of ${name}`), name, SOLO_STORE, held, browserOf(random, 1));
    this.#token = signToken(name, held);
    this.#durability = random.pick(["strict", "relaxed"]);
  }

  async open(): Promise<void> {
    const nextName = () => `${this.#parts.name}.${++this.#tabs}`;
    this.#tab = await openTab(this.#parts, this.#device, this.loop, nextName, (tab) => this.#options(tab));
  }

  #options(tab: Tab): StoreOptions {
    const local: StoreOptions = {
      name: "alone",
      durability: this.#durability,
      eventTypes: eventTypesOf(tab.client, this.#isSynced ? 2 : 1),
      onUnknownEvent: () => undefined,
    };
    if (!this.#isSynced) return local;
    const { random, faults, params } = this.#parts.ground;
    const send = this.#parts.network.fetchOf(tab, this.#device);
    const token = () => {
      if (!faults.isOver && random.chance(0.1)) throw new Error("The session is being renewed.");
      return this.#token;
    };
    const proxied = async (...request: Parameters<typeof send>) => {
      const answer = await send(...request);
      return !faults.isOver && random.chance(0.1) ? random.pick(OF_PROXY)() : answer;
    };
    const webSocket = params.isLive && ((url: string, protocols: string[]) => new tab.WebSocket(url, protocols));
    const url = `http://edge/v1/${SOLO_STORE}`;
    return { ...local, sync: { url, token, fetch: proxied as typeof fetch, webSocket, pollEvery: params.pollEvery } };
  }

  get #store(): Store {
    const store = this.#tab?.store;
    if (store === undefined) throw new Error("The tab is not open.");
    return store;
  }

  async act(): Promise<void> {
    const { random, params } = this.#parts.ground;
    const dice = random.next();
    if (dice < 0.6) await Promise.all(Array.from({ length: random.between(1, 3) }, () => this.#append()));
    else if (dice < 0.7) await this.#look();
    else if (dice < 0.8) await this.#reopen();
    // What a synced device loses may be at the edge already, and come back.
    else if (dice < 0.9 && params.faults["crash-device"] !== undefined && (this.#durability === "strict" || !this.#isSynced))
      await this.#crash();
    else if (!this.#isSynced) await this.#beginToSync();
  }

  async #append(): Promise<void> {
    const { random } = this.#parts.ground;
    const streamId = random.pick(STREAMS);
    const events = Array.from({ length: random.between(1, 3) }, (): NewEvent & { id: string } => {
      const number = ++this.#number;
      const id = eventId(this.#parts.name, number);
      const unit = this.#isSynced ? { unit: "m" } : {};
      return random.chance(0.5)
        ? { id, type: "Measured", data: { key: id, value: number, ...unit } }
        : { id, type: "Remarked", data: { key: id, value: number } };
    });
    const { client } = this.#tab ?? this.loop;
    const appended = await certainly(client, this.loop, () => this.#store.appendToStream(streamId, events));
    const before = this.#made.filter((made) => made.streamId === streamId);
    if (!this.#isSynced) compare(this.#parts, `an append to ${streamId} is pending`, appended.pending, false);
    // What was appended at once may be in any order, but in one.
    const place = appended.position ?? this.#made.length + 1;
    if (!this.#isSynced) {
      for (const [i, { id }] of events.entries()) this.#made[place - 1 + i] = { streamId, id };
      return;
    }
    const later = before[appended.firstVersion - 1];
    const at = later === undefined ? this.#made.length : this.#made.indexOf(later);
    this.#made.splice(at, 0, ...events.map(({ id }) => ({ streamId, id })));
  }

  async #look(): Promise<void> {
    const { ground } = this.#parts;
    const { tab } = this.#opened();
    await lookAround(this.#parts, tab, this.#store, STREAMS);
    if (ground.random.chance(0.5)) await makeMistakes(this.#parts, tab, this.#store, this.#isSynced);
    await this.#compareStreams();
  }

  #opened(): { readonly tab: Tab } {
    if (this.#tab === undefined) throw new Error("There is no tab.");
    return { tab: this.#tab };
  }

  async #compareStreams(): Promise<void> {
    const { tab } = this.#opened();
    for (const streamId of STREAMS) {
      const ids = this.#made.filter((made) => made.streamId === streamId).map(({ id }) => id);
      const slice = await insist(tab.client, this.loop, () => this.#store.readStream(streamId));
      const read = slice instanceof tab.client.HeadwaterError ? [] : slice.events;
      compare(
        this.#parts,
        streamId,
        read.map(({ id }) => id),
        ids,
      );
      const isOld = read.some(
        ({ type, schemaVersion, data }) => this.#isSynced && type === "Measured" && !(schemaVersion === 2 && hasUnit(data)),
      );
      compare(this.#parts, `${streamId} has events of an old version`, isOld, false);
    }
  }

  async #reopen(): Promise<void> {
    const { tab } = this.#opened();
    const store = this.#store;
    await store.close();
    compare(this.#parts, "an append to a closed store", await errorOf(tab.client, () => store.readStream("Diary")), {
      code: "store-closed",
    });
    tab.die();
    await this.open();
  }

  /** The machine dies. A relaxed store loses some of the last moments at most, and never something in between. */
  async #crash(): Promise<void> {
    this.#device.crash();
    await this.open();
    if (this.#durability === "strict") return this.#compareStreams();
    const { tab } = this.#opened();
    const left = await certainly(tab.client, this.loop, () => all(this.#store.readAll()));
    compare(
      this.#parts,
      "what a crash left",
      left.map(({ id }) => id),
      this.#made.slice(0, left.length).map(({ id }) => id),
    );
    this.#made.length = left.length;
  }

  /** The second version of the app. Other tabs of the first one are gone. */
  async #beginToSync(): Promise<void> {
    const { tab } = this.#opened();
    await this.#store.close();
    tab.die();
    this.#isSynced = true;
    await this.open();
  }

  async finish(): Promise<void> {
    if (!this.#isSynced) {
      await this.#look();
      compare(this.#parts, "the connection of a local store", this.#store.status.connection, "local");
      await this.#beginToSync();
    }
    await this.#append();
    while (this.#store.status.pending > 0 || this.#store.status.connection !== "online") await this.loop.pause(1_000);
    await this.#look();
    const { tab } = this.#opened();
    const edge = this.loop.client.connectStore({ url: `http://edge/v1/${SOLO_STORE}`, token: () => this.#token });
    const there = await certainly(this.loop.client, this.loop, () => all(edge.readAll()));
    const here = await certainly(tab.client, this.loop, () => all(this.#store.readAll()));
    compare(
      this.#parts,
      "the feed",
      here.map(({ id, position }) => [id, position]),
      there.map(({ id, position }) => [id, position]),
    );
    compare(this.#parts, "how many events the edge holds", there.length, this.#made.length);
    await this.#store.close();
    tab.die();
  }
}

function hasUnit(data: unknown): boolean {
  return typeof data === "object" && data !== null && "unit" in data;
}

/** What stands between a device and the edge now and then, and says nothing of what became of a request. */
const OF_PROXY: readonly (() => Response)[] = [
  () => new Response("<h1>Bad gateway</h1>", { status: 502 }),
  () => new Response("<h1>Busy</h1>", { status: 503, headers: { "retry-after": "2" } }),
  () => new Response("<h1>Log in to the network</h1>", { status: 200 }),
  () => new Response('{"isOnline":true}', { status: 200 }),
];
