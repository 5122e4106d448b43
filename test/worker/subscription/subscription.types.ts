/** What must and what must not compile of subscriptions at the edge. Never run. */
import { createEdge, HandlerError } from "headwater/edge";

createEdge({
  subscriptions: {
    mailer: { category: "Permit", type: ["Granted"], from: 17, handle: ([event]) => event?.position },
    refuser: { handle: async () => Promise.reject(new HandlerError("Not now.")) },
  },
});
// @ts-expect-error a filter has names
createEdge({ subscriptions: { mailer: { category: 7, handle: () => undefined } } });
// @ts-expect-error no such filter
createEdge({ subscriptions: { mailer: { types: ["Granted"], handle: () => undefined } } });
// @ts-expect-error where it begins
createEdge({ subscriptions: { mailer: { from: "end", handle: () => undefined } } });
// @ts-expect-error what becomes of an event that is refused
createEdge({ subscriptions: { mailer: { onFailure: "skip", handle: () => undefined } } });
// @ts-expect-error nobody is given the events
createEdge({ subscriptions: { mailer: { category: "Permit" } } });
createEdge({
  subscriptions: {
    // @ts-expect-error events come as a list
    mailer: { handle: (event: { readonly position: number }) => event.position },
  },
});
