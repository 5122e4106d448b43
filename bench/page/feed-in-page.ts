/**
 * An edge that exists in the page alone: it answers requests of the feed with pages that are made of given events. What is measured with it
 * has no network and no edge in it.
 */
import type { ConfirmedEvent } from "../../client/index.ts";
import { pageDigestOf } from "../../shared/event/digest.ts";
import { markAfter, START_MARK } from "../../shared/mark.ts";

export interface FeedInPage {
  /** For the option `sync`. */
  readonly sync: { readonly url: string; readonly automatic: false; readonly fetch: typeof fetch };
  /** The log's last position. */
  readonly head: number;
  /** The log grows by as many events. The page that has them is made now, and not while a sync is timed. */
  grow(events: number): void;
}

export type EventAt = (position: number) => ConfirmedEvent;

const LIMIT = 1_000;

/** @param eventAt an event of the feed by its position, from 1; always the same */
export function feedInPage(events: number, eventAt: EventAt): FeedInPage {
  let head = events;
  const marks = new Map([[0, START_MARK]]);
  const made = new Map<number, string>();
  const markAt = (position: number): string => {
    let from = 0;
    for (const known of marks.keys()) if (known <= position) from = Math.max(from, known);
    const ids = Array.from({ length: position - from }, (_, i) => eventAt(from + i + 1).id);
    const mark = markAfter(marks.get(from) ?? START_MARK, ids);
    marks.set(position, mark);
    return mark;
  };
  const makePage = (after: number, limit: number): string => {
    const position = Math.max(after, Math.min(head, after + limit));
    const page = Array.from({ length: position - after }, (_, i) => eventAt(after + i + 1));
    return JSON.stringify({ log: "log", events: page, position, mark: markAt(position), head, digest: pageDigestOf(page) });
  };
  return {
    get head() {
      return head;
    },
    grow(more) {
      const after = head;
      head += more;
      made.clear();
      made.set(after, makePage(after, LIMIT));
    },
    sync: {
      url: "http://127.0.0.1:9/v1/in-page",
      automatic: false,
      fetch: async (input) => {
        const { pathname, searchParams } = new URL(input instanceof Request ? input.url : input);
        if (!pathname.endsWith("/feed")) return Response.json({ title: "There is a feed, and nothing else." }, { status: 503 });
        const after = Number(searchParams.get("after") ?? 0);
        const page = made.get(after) ?? makePage(after, Number(searchParams.get("limit") ?? LIMIT));
        return new Response(page, { headers: { "content-type": "application/json" } });
      },
    },
  };
}
