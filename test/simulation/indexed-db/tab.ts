/** What one tab has of the device's IndexedDB. A tab may be frozen, which its event loop does, or be gone. */
import type { EventLoop } from "../platform/event-loop.ts";
import type { Connection } from "./connection.ts";

/** The faults of a device's disk. */
export interface DiskFaults {
  /** Milliseconds that a transaction waits for the disk: its requests are answered after it, or its completion. */
  latency(kind: "read" | "relaxed" | "strict" | "open"): number;
  /** Asked once at each point where this may happen. */
  strikes(fault: "abort-write" | "no-room" | "lose-connection" | "fail-open"): boolean;
}

export class Tab {
  readonly loop: EventLoop;
  readonly faults: DiskFaults;
  readonly connections = new Set<Connection>();
  isGone = false;

  constructor(loop: EventLoop, faults: DiskFaults) {
    this.loop = loop;
    this.faults = faults;
  }

  post(milliseconds: number, task: () => void): void {
    this.loop.post(milliseconds, () => {
      if (!this.isGone) task();
    });
  }

  /** Reports what listeners threw, as a browser does: as errors that nobody catches. */
  report(thrown: readonly unknown[]): void {
    for (const error of thrown) {
      this.post(0, () => {
        throw error;
      });
    }
  }
}
