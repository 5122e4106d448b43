/**
 * Who uses this tab's store, and whether the device's database is theirs. Every token passes through here on its way to the edge.
 *
 *     request ──► token() ──► its `sub`, the address ──► the database's owner? ── yes ──► sent
 *                                                              └── no ──► refused; the status says whose it is
 *
 * `shared/device/owner.ts` decides. The app names the person by `person`; if it does not, the `sub` of the token does.
 */
import { backoff } from "../../shared/backoff.ts";
import { textOfBase64url } from "../../shared/base64url.ts";
import type { Claim } from "../../shared/device/owner.ts";
import { OwnerMismatchError } from "../../shared/errors.ts";
import { toStoreUrl } from "../../shared/store-url.ts";
import type { Database } from "../storage/database.ts";
import { claimDatabase } from "../storage/owner.ts";
import { coalesced } from "../tools/coalesced.ts";
import { pause } from "../tools/pause.ts";
import type { StatusBoard } from "./status.ts";

type Token = () => string | undefined | Promise<string | undefined>;

export interface IdentityOptions {
  readonly database: Database;
  readonly board: StatusBoard;
  /** As the app has opened the store. */
  readonly claim: Claim;
  readonly token: Token | undefined;
  readonly ending: AbortSignal;
  /** Called when this tab knows of another person than before that the database is theirs. */
  readonly onClaimed: () => void;
  /** Called when the database is this tab's again. */
  readonly onAdmitted: () => void;
}

/** Milliseconds that an append waits for the app's `token`. One that needs longer needs the network. */
const PATIENCE = 100;
/** Waits until the token is asked for again, in milliseconds. */
const AGAIN = { first: 2_000, longest: 60_000 };

export class Identity {
  readonly #options: IdentityOptions;
  /** Why the database is not this tab's; undefined if it is, as far as this tab knows. */
  #refusal: OwnerMismatchError | undefined;
  readonly #askOnce = coalesced(() => this.#askBriefly());
  #asking: Promise<void> | undefined;
  #isSlow = false;
  #waking = new AbortController();

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  /** Whether this tab knows that the database is another's. */
  get isRefused(): boolean {
    return this.#refusal !== undefined;
  }

  /** @throws OwnerMismatchError if this tab knows that the database is another's; it asks again for later calls */
  assertOwner(): void {
    if (this.#refusal === undefined) return;
    void this.identify();
    throw this.#refusal;
  }

  /** True if the token has to be asked for before it is certain who uses the store: `identify` does that. */
  get isUncertain(): boolean {
    const { token, claim } = this.#options;
    return token !== undefined && (claim.person === null || this.isRefused);
  }

  /** Claims the database for the address and the person of the options. @throws what `claimDatabase` throws */
  async open(): Promise<void> {
    await this.#claim(this.#options.claim);
  }

  /** The token for a request. @throws OwnerMismatchError if the database is not of its person, or not of this address */
  readonly token = async (): Promise<string | undefined> => {
    const bearer = await this.#options.token?.();
    await this.#admit(subjectOf(bearer));
    return bearer;
  };

  /** Resolves when no call waits for the app's `token`. */
  async idle(): Promise<void> {
    await this.#asking;
  }

  /** Asks for the token, and waits a moment for it: then this tab knows who appends. Calls during a run share the next one. */
  identify(): Promise<void> {
    this.#asking = this.#askOnce();
    return this.#asking;
  }

  /** If the database is another's, asks for the token again, however long it takes: for a call that needs the network anyway. */
  async reconsider(): Promise<void> {
    if (this.#refusal === undefined) return;
    this.#asking = Promise.allSettled([this.#asking, this.#ask()]).then(() => undefined);
    await this.#asking;
  }

  /** Resolves at once, or when the database is this tab's again, or the store ends. */
  async admitted(): Promise<void> {
    const { ending } = this.#options;
    for (let failures = 1; this.#refusal !== undefined && !ending.aborted; failures++) {
      this.#waking = new AbortController();
      await pause(backoff(AGAIN, failures, Math.random()), AbortSignal.any([ending, this.#waking.signal]));
      await this.#ask();
    }
  }

  /** Asks for the token again now, if the database is another's. */
  wake(): void {
    this.#waking.abort();
  }

  async #askBriefly(): Promise<void> {
    // A `token` that did not answer in time is not waited for by each append.
    if (this.#isSlow) return;
    const answered = new AbortController();
    void this.#ask().then(() => {
      this.#isSlow = false;
      answered.abort();
    });
    await pause(PATIENCE, answered.signal);
    this.#isSlow = !answered.signal.aborted;
  }

  async #ask(): Promise<void> {
    const { token, database } = this.#options;
    try {
      const person = subjectOf(await token?.());
      const isKnown = person === null || person === database.owner.person;
      if (!isKnown || this.#refusal !== undefined) await this.#admit(person);
    } catch {
      // If the app has no token now, nobody else is known than before. Sync reports that, and the refusal is stored.
    }
  }

  /** @param person of the token; null if it does not say */
  async #admit(person: string | null): Promise<void> {
    const { board, onAdmitted, onClaimed, claim, database } = this.#options;
    const before = this.#refusal;
    const { person: known } = database.owner;
    try {
      await this.#claim({ url: claim.url, person: person ?? claim.person });
      this.#refusal = undefined;
      if (database.owner.person !== known) onClaimed();
    } catch (error) {
      if (error instanceof OwnerMismatchError) this.#refusal = error;
      throw error;
    } finally {
      if (this.#refusal !== before) board.hold(this.#refusal);
    }
    if (before !== undefined) onAdmitted();
  }

  async #claim(claim: Claim): Promise<void> {
    const { database } = this.#options;
    database.owner = await database.run((db) => claimDatabase(db, claim));
  }
}

/** The `sub` of a JWT, which the edge verifies and not this; null if it has none or is no JWT. */
export function subjectOf(token: string | undefined): string | null {
  try {
    const claims: { sub?: unknown } | null = JSON.parse(textOfBase64url(token?.split(".")[1] ?? ""));
    return typeof claims?.sub === "string" && claims.sub !== "" ? claims.sub : null;
  } catch {
    return null; // no JWT
  }
}

/** Who opens the store, by its options. */
export function claimOf({ person, sync }: { person?: string | undefined; sync?: { url: string | URL; movedFrom?: string | URL } }): Claim {
  const { url, movedFrom } = sync ?? {};
  return { url: addressOf(url), person: person ?? null, movedFrom: addressOf(movedFrom) };
}

/** An address of the edge, which was checked, in one form: two ways to write it are the same address. */
function addressOf(url: string | URL | undefined): string | null {
  const address = toStoreUrl(url);
  return address === undefined ? null : new URL(address).href.replace(/\/+$/, "");
}
