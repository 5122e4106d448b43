/**
 * The messages between the tabs of a device. They are hints only: a message may be lost, and without BroadcastChannel all are lost. Code
 * that needs to be sure reads the database, or sends its message again.
 */
import type { ProblemFields } from "../../shared/errors.ts";
import type { Status } from "./status.ts";

export type TabMessage =
  /** A tab has added commits to the outbox. */
  | { readonly kind: "appended" }
  /** A tab has changed the data of `status` or `conflicts()`. */
  | { readonly kind: "changed" }
  /** The leader's connection to the edge. */
  | {
      readonly kind: "connection";
      /** The id of the leader's database: the message may come after the device has lost it. */
      readonly database: string | undefined;
      readonly link: Pick<Status, "connection" | "acknowledged" | "progress">;
      readonly problem: ProblemFields | null;
    }
  /** A tab that was opened, or has woken, asks the leader for its connection. */
  | { readonly kind: "hello" }
  /** The scope was changed, or, with `isReset`, the replica was reset. */
  | { readonly kind: "redirected"; readonly isReset: boolean }
  /** To the leader: sync now. Sent again until it is answered. */
  | { readonly kind: "called"; readonly call: string }
  /** From the leader: it has got this call. */
  | { readonly kind: "heard"; readonly call: string }
  /** From the leader: this call has ended, with a problem or without. */
  | { readonly kind: "answered"; readonly call: string; readonly problem: ProblemFields | null };

export class Tabs {
  #channel: BroadcastChannel | undefined;

  constructor(name: string, onMessage: (message: TabMessage) => void) {
    this.#channel = openChannel(`headwater:${name}`);
    if (this.#channel !== undefined) this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => onMessage(data);
  }

  post(message: TabMessage): void {
    this.#channel?.postMessage(message);
  }

  /** Appends may still be running: messages that they post later are dropped. */
  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
}

/** Opens a broadcast channel; undefined if the browser has no BroadcastChannel. */
export function openChannel(name: string): BroadcastChannel | undefined {
  return typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(name);
}
