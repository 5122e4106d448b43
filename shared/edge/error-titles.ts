/** What each error code says, for people who have nothing more precise: kept apart from `errors.ts`, so that no bundle carries it in vain. */
import { type ErrorCode, type HeadwaterError, OTHER_HISTORY, STORE_CLOSED } from "../errors.ts";

export const ERROR_TITLES: Readonly<Record<ErrorCode, string>> = {
  "invalid-request": "The request is not one that the store understands; `field` names what to mend.",
  unauthenticated: "The edge does not know who is asking: send a valid token.",
  forbidden: "These credentials do not allow it.",
  "stream-not-found": "No event was ever appended to this stream.",
  "version-conflict": "The stream is not at the version that the commit builds on.",
  "event-id-reused": "An event id stands for one event for ever; this one is taken by another.",
  "log-mismatch": OTHER_HISTORY,
  "position-ahead": "The edge has less history than was seen of it.",
  "payload-too-large": "The request exceeds a limit: send less at once.",
  "too-many-requests": "Too many requests: wait before the next one.",
  unavailable: "The store can't be reached at the moment; sending the same again is safe.",
  "store-full": "The store has no room left; reads go on.",
  "storage-failed": "This device could not write to its own storage; nothing of the append was kept.",
  "store-closed": STORE_CLOSED,
};

/** An error's own sentence; the one of its code where it has none. */
export function sentenceOf({ code, message }: HeadwaterError): string {
  return message === code ? ERROR_TITLES[code] : message;
}
