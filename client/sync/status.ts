/** How a device stands, as an app can watch it. */
import type { HeadwaterError } from "../../shared/errors.ts";
import { sameJson } from "../../shared/json.ts";

/**
 * How a device stands to its edge: `local` has none; `diverged` means that the edge holds another log, or less of this one,
 * and that nothing is merged until the app has chosen; `outdated` that a newer tab has upgraded the database.
 */
export type Connection = "local" | "offline" | "connecting" | "online" | "unauthorized" | "diverged" | "outdated";

export interface Status {
  readonly connection: Connection;
  /** Commits that are not confirmed yet. */
  readonly pending: number;
  /** How many of these the edge is known to have taken; the feed is yet to bring them. */
  readonly acknowledged: number;
  /** Commits that the edge refused and that wait for the app. */
  readonly conflicts: number;
  /** How far the feed is applied, and so what is confirmed; null before the first contact. */
  readonly cursor: { readonly log: string; readonly position: number } | null;
  /** The last position that the edge is known to have. */
  readonly head: number;
  /** Whether the browser has promised not to evict this site's data; null where it can't be asked, or has not answered. */
  readonly persisted: boolean | null;
  /** What stands in sync's way; null where nothing does. */
  readonly problem: HeadwaterError | null;
}

/** The status as it is, and whoever wants to hear of changes. */
export class StatusBoard {
  #status: Status;
  /** Whoever watches by it can't hold up what is told, whatever the app does there. */
  readonly #changes = new EventTarget();

  constructor(connection: Connection) {
    this.#status = { connection, pending: 0, acknowledged: 0, conflicts: 0, cursor: null, head: 0, persisted: null, problem: null };
  }

  get current(): Status {
    return this.#status;
  }

  update(change: Partial<Status>): void {
    const after = { ...this.#status, ...change };
    if (sameJson(this.#status, after)) return;
    this.#status = after;
    this.#changes.dispatchEvent(new Event("change"));
  }

  /** Told of each change, until the answer is called. */
  watch(listener: (status: Status) => void): () => void {
    const tell = () => listener(this.#status);
    this.#changes.addEventListener("change", tell);
    return () => this.#changes.removeEventListener("change", tell);
  }
}
