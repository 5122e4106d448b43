/**
 * The broadcast channels of one device. A message goes to every other channel of its name, in order of their opening.
 *
 * Faults, which `Transit` decides for each message and receiver:
 * - A message is late. The order between two tabs is kept, for all their channels together, as in a browser.
 * - A message is lost, as for a web page in the back/forward cache.
 * - A frozen tab gets its messages when it thaws. A dead one, after `end()`, gets none. The tab's event loop and `end` do that.
 *
 * Left out: a message that comes twice, or overtakes another one, since no browser does that. A browser without BroadcastChannel is a tab
 * that is not given one. `messageerror`, because what one tab can send, the other can receive.
 */
import type { EventLoop } from "./event-loop.ts";
import { type Fired, Target } from "./event-target.ts";
import { cloneOf } from "./structured-clone.ts";

/** Milliseconds until a message arrives, or undefined if it is lost. */
export type Transit = (from: EventLoop, to: EventLoop, name: string) => number | undefined;

const AT_ONCE: Transit = () => 0;

interface Tab {
  readonly loop: EventLoop;
  /** When the last message of each other tab arrives. */
  readonly arrivals: Map<Tab, number>;
  isEnded: boolean;
}

interface Message extends Fired {
  readonly data: unknown;
  readonly origin: string;
}

export class Channels {
  readonly #transit: Transit;
  readonly #open = new Map<string, Channel[]>();

  constructor(transit: Transit = AT_ONCE) {
    this.#transit = transit;
  }

  /** The class for one tab. `end` is for when the tab dies. */
  openIn(loop: EventLoop): { BroadcastChannel: typeof BroadcastChannel; end(): void } {
    const channels = this;
    const tab: Tab = { loop, arrivals: new Map(), isEnded: false };
    class TabChannel extends Channel {
      constructor(name: string) {
        super(channels, tab, String(name));
      }
    }
    return { BroadcastChannel: TabChannel, end: () => this.#end(tab) };
  }

  add(channel: Channel): void {
    this.#open.set(channel.name, [...(this.#open.get(channel.name) ?? []), channel]);
  }

  remove(channel: Channel): void {
    const others = (this.#open.get(channel.name) ?? []).filter((each) => each !== channel);
    if (others.length === 0) this.#open.delete(channel.name);
    else this.#open.set(channel.name, others);
  }

  send(from: Channel, message: unknown): void {
    const sent = cloneOf(message);
    for (const to of this.#open.get(from.name) ?? []) {
      const milliseconds = to === from ? undefined : this.#transit(from.tab.loop, to.tab.loop, from.name);
      if (milliseconds === undefined) continue;
      const { now } = to.tab.loop;
      const arrival = Math.max(now + milliseconds, to.tab.arrivals.get(from.tab) ?? 0);
      to.tab.arrivals.set(from.tab, arrival);
      to.tab.loop.post(arrival - now, () => to.receive(sent));
    }
  }

  #end(tab: Tab): void {
    tab.isEnded = true;
    for (const channel of [...this.#open.values()].flat()) {
      channel.tab.arrivals.delete(tab);
      if (channel.tab === tab) this.remove(channel);
    }
  }
}

class Channel extends Target implements BroadcastChannel {
  readonly #channels: Channels;
  readonly tab: Tab;
  readonly name: string;
  #isClosed = false;

  constructor(channels: Channels, tab: Tab, name: string) {
    super(tab.loop);
    this.#channels = channels;
    this.tab = tab;
    this.name = name;
    if (!tab.isEnded) channels.add(this);
  }

  get onmessage(): ((event: MessageEvent) => void) | null {
    return this.handler("message") as ((event: MessageEvent) => void) | null;
  }

  set onmessage(listener: ((event: MessageEvent) => void) | null) {
    this.setHandler("message", listener);
  }

  /** Never called: no stand-in fires `messageerror`. */
  onmessageerror = null;

  postMessage(message: unknown): void {
    if (this.#isClosed) throw new DOMException("Channel is closed", "InvalidStateError");
    this.#channels.send(this, message);
  }

  close(): void {
    this.#isClosed = true;
    this.#channels.remove(this);
  }

  /** A message that arrives after the channel was closed is dropped. Each receiver gets a copy of its own. */
  receive(sent: unknown): void {
    if (this.#isClosed) return;
    const message: Message = { type: "message", data: cloneOf(sent), origin: "" };
    this.fire(message);
  }
}
