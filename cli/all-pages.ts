/** What the edge answers in parts, one after the other. */
import type { EdgeStore, StreamList } from "../client/http.ts";
import { InvalidRequestError } from "../client/index.ts";
import { type IndexedStreams, indexedStreams, type ReconciledLog, reconciledLog } from "../shared/wire/reconcile.ts";

/** Streams in a page of the list. */
const PAGE = 1_000;

/** All streams that the log has, in the order of their ids. */
export async function* allStreams(store: EdgeStore): AsyncGenerator<StreamList["streams"][number]> {
  let after: string | undefined;
  do {
    const page = await store.listStreams({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    yield* page.streams;
    after = page.next ?? undefined;
  } while (after !== undefined);
}

/** The ids of all streams that the index knows, in their order. It may know streams that the log has lost. An edge of an earlier version has none. */
export async function* allIndexed(store: EdgeStore): AsyncGenerator<string> {
  let after: string | null = "";
  do {
    const path: string = `/reconcile/streams?limit=${PAGE}&after=${encodeURIComponent(after)}`;
    const page: IndexedStreams = await store.request(path, indexedStreams).catch((error: unknown) => {
      if (isUnknownRoute(error)) return { streams: [], next: null };
      throw error;
    });
    yield* page.streams;
    after = page.next;
  } while (after !== null);
}

/** An edge of an earlier version does not have the route. */
export function isUnknownRoute(error: unknown): boolean {
  return error instanceof InvalidRequestError && error.details.field === "path";
}

/** Reconciles the log, portion by portion. @param dryRun whether nothing is written */
export async function* reconciledPortions(store: EdgeStore, dryRun: boolean): AsyncGenerator<ReconciledLog> {
  for (let after = 0, isEnd = false; !isEnd; ) {
    const portion = await store.request("/reconcile/log", reconciledLog, { after, dryRun });
    yield portion;
    isEnd = portion.position >= portion.head || portion.position <= after;
    after = portion.position;
  }
}
