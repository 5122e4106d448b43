/** The address of a store at the edge, as an app hands it over: a text, or a `URL`. */
import { isObject } from "./json.ts";

const STORE_URL = /^https?:\/\/(\[[\da-f:.]+\]|[^\s/?#@\\:[\]]+)(:\d{1,5})?(\/[^\s?#\\]*)?$/i;

/** The address without slashes at its end; undefined if it is none. It is absolute, and has neither a query, a hash nor a user name. */
export function toStoreUrl(value: unknown): string | undefined {
  const address: unknown = isObject(value) && "href" in value ? value["href"] : value;
  return typeof address === "string" && STORE_URL.test(address) ? address.replace(/\/+$/, "") : undefined;
}
