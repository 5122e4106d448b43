/** What an app does in a tab: it reads, appends based on what it read, syncs, and resolves conflicts. */

import type { ParkedEntry } from "../../shared/device/outbox.ts";
import type { Commit } from "../../shared/event/commit.ts";
import type { EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import { parseStreamId } from "../../shared/stream-id.ts";
import { type Device, seenConflict } from "./device.ts";
import type { Ground } from "./ground.ts";
import { SHELF } from "./models/stock-app.ts";
import type { Tab } from "./tab.ts";
import { append, bringIntoScope, changeScope, reset, resolveConflict } from "./transactions.ts";

/** What all apps and writers may still do. */
export interface Budget {
  left: number;
}

/** What the app of a device remembers beyond any of its tabs: the commits that it made, to try them again. */
export interface Memory {
  readonly commits: Commit[];
  made: number;
}

/** Whoever let go of a commit does not try it again. */
export function forget({ commits }: Memory, events: readonly EventBody[]): void {
  const at = commits.findIndex((commit) => commit.events[0]?.id === events[0]?.id);
  if (at >= 0) commits.splice(at, 1);
}

const TYPES = ["Counted", "Noted", "Closed"];

export class App {
  readonly #tab: Tab;
  readonly #device: Device;
  readonly #ground: Ground;
  readonly #budget: Budget;
  readonly #memory: Memory;
  readonly #streams: readonly string[];
  /** Milliseconds between two acts. */
  readonly #pace: number;

  constructor(tab: Tab, budget: Budget, memory: Memory, streams: readonly string[], pace: number) {
    this.#tab = tab;
    this.#device = tab.device;
    this.#ground = tab.ground;
    this.#budget = budget;
    this.#memory = memory;
    this.#streams = streams;
    this.#pace = pace;
  }

  start(): void {
    this.#tab.later(this.#ground.random.wait(this.#pace), () => {
      if (this.#budget.left > 0) {
        this.#budget.left--;
        this.#act();
      }
      this.start();
    });
  }

  #act(): void {
    const { random } = this.#ground;
    const dice = random.next();
    if (dice < 0.62) this.#write();
    else if (dice < 0.7) this.retry();
    else if (dice < 0.78) this.#device.lookAtAll(this.#streams);
    else if (dice < 0.86) this.sync();
    else if (dice < 0.96) this.#resolve();
    else this.#tab.leader?.take({ kind: "woken" });
  }

  /** Reads a stream, thinks, and appends to it. */
  #write(): void {
    const { random } = this.#ground;
    const streamId = random.pick(this.#streams);
    const version = this.#device.content.version(streamId);
    const thinking = random.chance(0.3) ? random.spread(100, 10_000) : 0;
    this.#tab.later(thinking, () => {
      const events = Array.from({ length: random.between(1, 3) }, () => this.#newEvent());
      this.#ask({ streamId: parseStreamId(streamId), expectedVersion: this.#expectation(version), events });
    });
  }

  #expectation(version: number): ExpectedVersion {
    const { random } = this.#ground;
    const dice = random.next();
    if (dice < 0.65) return version === 0 && random.chance(0.5) ? "no-stream" : version;
    if (dice < 0.8) return "any";
    if (dice < 0.9) return "stream-exists";
    return dice < 0.95 ? "no-stream" : version + random.between(-1, 1);
  }

  #newEvent(): EventBody {
    const { random, faults } = this.#ground;
    const number = ++this.#memory.made;
    const poison = faults.strikes("poison") ? random.pick(["fails", "refused", "rejected", "large"]) : undefined;
    return {
      id: `${this.#device.name}-${number}`,
      type: random.pick(TYPES),
      schemaVersion: 1,
      data: poison === undefined ? { number } : { number, poison },
      metadata: {},
      occurredAt: this.#device.time(),
    };
  }

  /** Appends what was appended before, as who never heard an answer does; or other events by the same ids, which is a mistake. */
  retry(): void {
    const { random } = this.#ground;
    if (this.#memory.commits.length === 0) return;
    const commit = random.pick(this.#memory.commits);
    if (random.chance(0.8)) return this.#ask(commit);
    this.#ask({ ...commit, events: commit.events.map((event) => ({ ...event, data: { number: -1 } })) }, false);
  }

  #ask(commit: Commit, isToBeRemembered = true): void {
    const { name: device } = this.#device;
    const { rules } = this.#ground;
    this.#ground.observe({ kind: "called", device, commit });
    if (isToBeRemembered && !this.#memory.commits.includes(commit)) this.#memory.commits.push(commit);
    const { scope } = this.#tab;
    if (scope === null || rules.isWithin(scope, commit.streamId)) return this.#append(commit);
    this.#device.write(
      this.#tab,
      "relaxed",
      (content) => bringIntoScope(content, commit.streamId, rules),
      (answer) => {
        if ("error" in answer) return this.#ground.observe({ kind: "refused", device, commit, code: answer.error.code });
        this.#tab.announce({ kind: "scope" });
        this.#append(commit);
      },
    );
  }

  #append(commit: Commit): void {
    const { name: device } = this.#device;
    const { rules } = this.#ground;
    this.#device.write(
      this.#tab,
      rules.appendDurability(),
      (content) => append(content, commit, rules),
      (answer) => {
        if ("error" in answer) return this.#ground.observe({ kind: "refused", device, commit, code: answer.error.code });
        const { value: decision } = answer;
        if (decision.kind === "refused") return this.#ground.observe({ kind: "refused", device, commit, code: decision.code });
        const { firstVersion, version } = decision;
        this.#ground.observe({ kind: "accepted", device, commit, firstVersion, version, isDuplicate: decision.kind === "duplicate" });
        if (decision.kind === "append") this.#tab.announce({ kind: "appended" });
      },
      () => [commit.streamId],
    );
  }

  sync(): void {
    const { scheduler } = this.#ground;
    const since = scheduler.now;
    this.#tab.sync((answer) => {
      if ("value" in answer) this.#ground.count("sync() resolved");
      if ("value" in answer) this.#ground.observe({ kind: "synced", device: this.#device.name, since });
    });
  }

  #resolve(): void {
    const { random } = this.#ground;
    const parked = this.#device.content.get("parked");
    if (parked.length > 0) this.resolve(random.pick(parked), random.pick(["rebase", "rebase", "discard"]));
  }

  resolve(entry: ParkedEntry, how: "rebase" | "discard"): void {
    const { name: device } = this.#device;
    if (how === "discard") forget(this.#memory, entry.events);
    const conflict = seenConflict(entry);
    this.#ground.tell(() => `${this.#tab.name}: resolves ${entry.streamId} ${entry.events[0]?.id}: ${how}`);
    this.#ground.observe({ kind: "resolved", device, conflict, how, isDone: false });
    this.#device.write(
      this.#tab,
      "strict",
      (content) => resolveConflict(content, entry, how, this.#ground.rules, this.#device.resolve),
      (answer) => {
        if ("error" in answer) return;
        this.#ground.count(`conflicts resolved: ${how}`);
        this.#ground.observe({ kind: "resolved", device, conflict, how, isDone: true });
        this.#tab.announce({ kind: "appended" });
      },
      () => [entry.streamId],
    );
  }

  reset(): void {
    const { name: device } = this.#device;
    this.#ground.tell(() => `${this.#tab.name}: resets`);
    this.#device.write(
      this.#tab,
      "strict",
      (content) => {
        reset(content, this.#ground.rules);
        this.#ground.count("resets");
        // In the transaction, so that whoever looks next knows.
        this.#ground.observe({ kind: "reset", device });
      },
      (answer) => {
        if ("value" in answer) this.#tab.announce({ kind: "reset" });
      },
      () => (this.#ground.params.hasStock ? [...this.#streams, SHELF] : this.#streams),
    );
  }

  follow(scope: readonly string[] | null): void {
    this.#device.write(
      this.#tab,
      "strict",
      (content) => {
        changeScope(content, scope, this.#ground.rules);
        // The tab may end before it hears of it: the device follows it all the same.
        this.#ground.observe({ kind: "opened", device: this.#device.name, store: this.#device.store, scope });
      },
      (answer) => {
        if ("value" in answer) this.#tab.announce({ kind: "scope" });
      },
    );
  }
}
