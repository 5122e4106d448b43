/** The options that say where the edge is, and how it is reached, and the app's token. They are checked before anything else is loaded. */
import { HeadwaterError, UnauthenticatedError, UnavailableError } from "../../shared/errors.ts";
import * as option from "../../shared/options.ts";
import { toStoreUrl } from "../../shared/store-url.ts";
import { messageOf } from "../../shared/thrown.ts";
import { isToken } from "../../shared/wire/token.ts";
import type { EdgeOptions } from "./edge-call.ts";

/** How an app says where the edge is, and how it is reached. */
export interface ConnectionOptions {
  /**
   * The address of the store at the edge, e.g. `https://events.example.com/v1/permits`: absolute, `http:` or `https:`, without a query, a
   * hash or a user name.
   */
  readonly url: string | URL;
  /**
   * Returns the bearer token, without "Bearer". Called before each request, and once more if the edge rejects the token. If it throws, rejects
   * or returns no token, a device's status is `unauthorized`, with its message in `problem`, and it is called again after a wait; a call of
   * `headwater/http` rejects with UnauthenticatedError. Throw UnavailableError if the token can't be fetched now: a device is `offline` then.
   * Leave it out if the edge needs none.
   */
  readonly token?: () => string | Promise<string>;
  /** Sends requests. Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export const CONNECTION_OPTIONS = {
  url: /* @__PURE__ */ option.required(option.storeUrl),
  token: option.callback,
  fetch: option.callback,
} satisfies option.OptionsOf<ConnectionOptions>;

/** @param options checked by their description */
export function edgeOptions({ url, token, fetch, timeout }: ConnectionOptions & { readonly timeout: number }): EdgeOptions {
  return { url: toStoreUrl(url) ?? "", token: token && (() => readToken(token)), fetch, timeout };
}

/**
 * Calls the app's function for a token.
 *
 * @throws UnauthenticatedError if it throws or rejects, with its message, and if it returns what is no token. A HeadwaterError that it throws
 *   stays as it is; without a network, any other is an UnavailableError, because most apps fetch their token
 */
async function readToken(token: NonNullable<ConnectionOptions["token"]>): Promise<string> {
  let given: unknown;
  try {
    given = await token();
  } catch (cause) {
    if (cause instanceof HeadwaterError) throw cause;
    const isOffline = globalThis.navigator?.onLine === false;
    throw new (isOffline ? UnavailableError : UnauthenticatedError)(`\`token\` failed: ${messageOf(cause)}`, {}, { cause });
  }
  if (isToken(given)) return given;
  const what = typeof given === "string" ? "another text" : `a value of the type ${typeof given}`;
  throw new UnauthenticatedError(
    `\`token\` must return a token: printable characters without a space, and without "Bearer". It returned ${what}.`,
  );
}
