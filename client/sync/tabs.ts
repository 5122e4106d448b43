/**
 * What the tabs of a device tell each other. All of it is hints: a message may be lost, and where there is no
 * BroadcastChannel all are. Whoever relies on something looks into the database, or asks again.
 */
import type { problemOf } from "../../shared/wire/wire.ts";
import type { Status } from "./status.ts";

export type Problem = ReturnType<typeof problemOf>;

export type TabMessage =
  /** The outbox has more in it. */
  | { readonly kind: "appended" }
  /** The database tells something else than it did. */
  | { readonly kind: "changed" }
  /** How the leader stands to the edge. */
  | { readonly kind: "connection"; readonly stands: Pick<Status, "connection" | "acknowledged">; readonly problem: Problem | null }
  /** How does it stand? */
  | { readonly kind: "hello" }
  /** The device follows more of the store, or, after a reset, another history. */
  | { readonly kind: "redirected"; readonly isReset: boolean }
  /** To the leader: bring everything in step. Told again until it is answered. */
  | { readonly kind: "called"; readonly call: string }
  | { readonly kind: "heard"; readonly call: string }
  | { readonly kind: "answered"; readonly call: string; readonly problem: Problem | null };

export class Tabs {
  #channel: BroadcastChannel | undefined;

  constructor(name: string, onMessage: (message: TabMessage) => void) {
    this.#channel = openChannel(`headwater:${name}`);
    if (this.#channel !== undefined) this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => onMessage(data);
  }

  tell(message: TabMessage): void {
    this.#channel?.postMessage(message);
  }

  /** Nobody is told of anything from then on: appends may still be under way. */
  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
}

/** Undefined where a browser has none. */
export function openChannel(name: string): BroadcastChannel | undefined {
  return typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(name);
}
