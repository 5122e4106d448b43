/**
 * Two people share a device, and a person who has not logged in uses it too. They log in and out at any time, in tabs that name the person
 * and in tabs that do not, at two addresses. In the end each event is recorded once: where and in whose name it was made.
 */
import { Device } from "../device.ts";
import { apart } from "../ground.ts";
import { eventId } from "../identity.ts";
import { Script } from "../script.ts";
import { type Store, Tab } from "../tab.ts";
import { signToken } from "../token.ts";
import { all, certainly, compare, type Habit, type HabitParts, insist, nowAndThen } from "./habit.ts";

const PEOPLE = ["ann", "bob"];
/** The stores at the edge. */
const STORES = ["office", "workshop"];
const STREAMS = ["Permit-1", "Permit-2", "Ticket-1"];
const HELD = { stores: STORES, until: Number.POSITIVE_INFINITY };
/** Acts in a world, and tabs at one time. */
const ACTS = 40;
const TABS = 3;

interface Open {
  readonly tab: Tab;
  readonly store: Store;
  readonly person: string | undefined;
  readonly address: string;
}

interface Made {
  /** Undefined if nobody was logged in. */
  readonly by: string | undefined;
  readonly at: string;
}

export const runPersons: Habit = async (parts) => {
  const home = new Home(parts);
  await nowAndThen(parts, home.loop, () => home.act(), ACTS);
  await home.finish();
};

class Home {
  readonly loop: Script;
  readonly #parts: HabitParts;
  readonly #device: Device;
  /** By their ids: the events whose append has resolved. */
  readonly #made = new Map<string, Made>();
  #loggedIn: string | undefined;
  #opens: readonly Open[] = [];
  #tabs = 0;
  #number = 0;

  constructor(parts: HabitParts) {
    const { ground, network, name } = parts;
    this.#parts = parts;
    this.loop = new Script(ground, name, network);
    this.#device = new Device(apart(ground, `device of ${name}`), name, "office", HELD);
  }

  async act(): Promise<void> {
    const { random } = this.#parts.ground;
    this.#opens = this.#opens.filter(({ tab }) => tab.isAlive);
    const [some] = this.#opens.length === 0 ? [] : [random.pick(this.#opens)];
    const dice = random.next();
    if (some === undefined || (dice < 0.2 && this.#opens.length < TABS)) return this.#openSome();
    if (dice < 0.4) this.#loggedIn = random.chance(0.7) ? random.pick(PEOPLE) : undefined;
    else if (dice < 0.5) some.tab.die();
    else if (dice < 0.55) await some.store.signOut().catch((error: unknown) => this.#unlessTyped(some.tab, error));
    else await this.#append(some);
  }

  async #openSome(): Promise<void> {
    const { random } = this.#parts.ground;
    const isNamed = random.chance(0.5);
    const opening = this.#open(isNamed ? this.#loggedIn : undefined, random.chance(0.8) ? "office" : "workshop");
    // Somebody closes the tab while it opens, e.g. in the middle of a handover.
    const [tab] = this.#device.tabs.slice(-1);
    if (random.chance(0.3)) void this.loop.pause(random.between(0, 40)).then(() => tab?.die());
    await Promise.race([opening, this.loop.pause(60_000)]);
  }

  async #open(person: string | undefined, address: string): Promise<Open | undefined> {
    const { network, ground, name } = this.#parts;
    const tab = new Tab(`${name}.${++this.#tabs}`, this.#device, network);
    this.#device.tabs = [...this.#device.tabs, tab];
    const token = () => {
      if (this.#loggedIn === undefined) throw new Error("Nobody is logged in.");
      return signToken(this.#loggedIn, HELD);
    };
    const { pollEvery, isLive } = ground.params;
    try {
      const sync = { url: `http://edge/v1/${address}`, token, pollEvery, webSocket: isLive };
      const store = await tab.open({ name: "home", ...(person !== undefined && { person }), sync });
      const open = { tab, store, person, address };
      this.#opens = [...this.#opens, open];
      return open;
    } catch (error) {
      this.#unlessTyped(tab, error);
      tab.die();
      return undefined;
    }
  }

  #unlessTyped(tab: Tab, error: unknown): void {
    if (!(error instanceof tab.client.HeadwaterError)) throw error;
    this.#parts.ground.count(`persons refused: ${error.code}`);
  }

  async #append({ tab, store, person, address }: Open): Promise<void> {
    // The app's screen is of the person that the tab names.
    if (person !== undefined && person !== this.#loggedIn) return;
    const id = eventId(this.#parts.name, ++this.#number);
    const by = this.#loggedIn;
    const appending = store.appendToStream(this.#parts.ground.random.pick(STREAMS), [{ id, type: "Noted", data: { key: id } }]);
    const appended = appending.then(
      () => {
        this.#made.set(id, { by, at: address });
        this.#parts.ground.count(`persons' events of ${by === undefined ? "nobody" : "somebody"}`);
      },
      (error: unknown) => this.#unlessTyped(tab, error),
    );
    await Promise.race([appended, this.loop.pause(60_000)]);
  }

  /** Each of them logs in once more, until nothing waits for them. */
  async finish(): Promise<void> {
    for (const { tab } of this.#opens) tab.die();
    for (const person of PEOPLE) {
      for (const address of STORES) {
        for (const name of [person, undefined]) await this.#settle(person, name, address);
      }
    }
    // The second can take what the first has not.
    for (const address of STORES) for (const person of PEOPLE) await this.#settle(person, undefined, address);
    const recorded = new Map<string, Made>();
    for (const at of STORES) {
      const edge = this.loop.client.connectStore({ url: `http://edge/v1/${at}`, token: () => signToken("auditor", HELD) });
      for (const { id, actor } of await certainly(this.loop.client, this.loop, () => all(edge.readAll()))) {
        compare(this.#parts, `${id} is recorded once`, recorded.has(id), false);
        recorded.set(id, { by: actor ?? undefined, at });
      }
    }
    for (const [id, { by, at }] of this.#made) {
      const found = recorded.get(id);
      compare(this.#parts, `where ${id} is recorded`, found?.at, at);
      if (by !== undefined) compare(this.#parts, `in whose name ${id} is recorded`, found?.by, by);
    }
  }

  async #settle(person: string, name: string | undefined, address: string): Promise<void> {
    this.#loggedIn = person;
    const open = await this.#open(name, address);
    if (open === undefined) return;
    const { tab, store } = open;
    const synced = await insist(tab.client, this.loop, () => store.sync());
    if (synced instanceof tab.client.HeadwaterError) compare(this.#parts, "why nothing is sent", synced.code, "owner-mismatch");
    else compare(this.#parts, "what is pending after sync", store.status.pending + store.status.conflicts, 0);
    await store.close();
    tab.die();
  }
}
