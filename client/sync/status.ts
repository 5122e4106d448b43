/** The status of a device, as an app sees it. */
import type { Loss } from "../../shared/device/loss.ts";
import type { SendProgress } from "../../shared/device/progress.ts";
import { type HeadwaterError, problemOf } from "../../shared/errors.ts";
import { sameJson } from "../../shared/json.ts";
import { LiveCell, type LiveValue } from "../tools/live-value.ts";

/**
 * The connection of a device to its edge.
 *
 * - `local`: the store was opened without `sync` and has no edge.
 * - `offline`: the edge can't be reached. The device retries.
 * - `connecting`: the first answer of the edge is awaited.
 * - `online`: the edge answers.
 * - `unauthorized`: the edge rejects the token, its grants do not cover what the device asks for, or the app's `token` returns none; or the
 *   device's store belongs to another person or address.
 * - `diverged`: the edge holds another log, or less of this one, or the store was deleted there. Nothing is merged or sent until the app has
 *   chosen a way on. `problem` has the reason.
 * - `outdated`: a newer tab has upgraded the database. Reload the web page.
 * - `deleted`: the store was deleted on this device, by `deleteStore` or `signOut`. Open it again.
 */
export type Connection = "local" | "offline" | "connecting" | "online" | "unauthorized" | "diverged" | "outdated" | "deleted";

export interface Status {
  readonly connection: Connection;
  /** Commits that are not confirmed yet. */
  readonly pending: number;
  /** Those of them that the edge is known to have recorded. The feed has not delivered them yet. */
  readonly acknowledged: number;
  /** How far a long outbox is sent, e.g. after the device was offline for long. Null if none is being sent. */
  readonly progress: SendProgress | null;
  /** Commits that are parked and wait for the app: see `conflicts()`. */
  readonly conflicts: number;
  /** The log, and the position up to which the feed is applied. Null before the first contact with the edge. */
  readonly cursor: { readonly log: string; readonly position: number } | null;
  /** The last position that the edge is known to have. */
  readonly head: number;
  /** Whether the browser has promised not to evict this site's data. Null if it can't be asked, or has not answered yet. */
  readonly persisted: boolean | null;
  /** Commits that were on this device alone and are gone, until the app calls `dismissLoss()`; null if nothing was lost, as far as is known. */
  readonly lost: Loss | null;
  /** Why sync does not continue; null if nothing is wrong. */
  readonly problem: HeadwaterError | null;
}

/** The current status, and its live value. */
export class StatusBoard {
  readonly #cell: LiveCell<Status>;
  readonly #onUpdated: (status: Status) => void;
  #held: Partial<Status> = {};

  /** @param onUpdated is called at once after each update */
  constructor(connection: Connection, onUpdated: (status: Status) => void = () => undefined) {
    this.#onUpdated = onUpdated;
    this.#cell = new LiveCell<Status>({
      connection,
      pending: 0,
      acknowledged: 0,
      progress: null,
      conflicts: 0,
      cursor: null,
      head: 0,
      persisted: null,
      lost: null,
      problem: null,
    });
  }

  get current(): Status {
    return this.#cell.getSnapshot();
  }

  get live(): LiveValue<Status> {
    return this.#cell;
  }

  update(change: Partial<Status>): void {
    const after = { ...this.current, ...change, ...this.#held };
    if (!sameJson(shownBy(this.current), shownBy(after))) this.#cell.set(after);
    this.#onUpdated(after);
  }

  /** Shows that this tab may not use the store, whatever the connection of the tab that leads. @param problem undefined: it may again */
  hold(problem: HeadwaterError | undefined): void {
    this.#held = problem === undefined ? {} : { connection: "unauthorized", problem };
    this.update({ connection: "connecting", problem: null });
  }
}

/** A status as a person sees it. An error's message is no property that JSON has. */
function shownBy({ problem, ...status }: Status): object {
  return { ...status, problem: problem && problemOf(problem) };
}
