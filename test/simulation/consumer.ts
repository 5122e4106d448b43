/** An app's consumer of the feed on a device: it handles each event, and stores its checkpoint in the same database. */
import type { Device } from "./device.ts";
import type { Ground } from "./ground.ts";
import type { Tab } from "./tab.ts";

const EVERY = 3000;
const AT_ONCE = 20;

export class Consumer {
  readonly #tab: Tab;
  readonly #device: Device;
  readonly #ground: Ground;
  #isAtWork = false;

  constructor(tab: Tab) {
    this.#tab = tab;
    this.#device = tab.device;
    this.#ground = tab.ground;
  }

  start(): void {
    this.#tab.later(EVERY, () => {
      // One tab is enough.
      if (!this.#isAtWork && this.#device.tabs.find((tab) => tab.isAlive && !tab.isFrozen) === this.#tab) this.#handle();
      this.start();
    });
  }

  #handle(): void {
    const { content, name: device } = this.#device;
    const checkpoint = content.get("checkpoint");
    const log = content.get("log");
    const at = log.findIndex((event) => event.position > checkpoint.position);
    if (at < 0) return;
    const events = log.slice(at, at + AT_ONCE);
    const handle = () => {
      for (const event of events) this.#ground.observe({ kind: "handled", device, event });
    };
    const isFirst = this.#ground.rules.handlesFirst();
    if (isFirst) handle();
    this.#isAtWork = true;
    this.#note(checkpoint, events.at(-1)?.position ?? 0, () => {
      this.#isAtWork = false;
      if (!isFirst) handle();
    });
  }

  #note(before: { readonly position: number }, position: number, done: () => void): void {
    this.#device.write<boolean>(
      this.#tab,
      "relaxed",
      (content) => {
        // Another tab, or a reset, may have been there meanwhile.
        if (content.get("checkpoint") !== before) return false;
        content.set("checkpoint", { position });
        this.#ground.observe({ kind: "checkpoint", device: this.#device.name, position });
        return true;
      },
      done,
    );
  }
}
