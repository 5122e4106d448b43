/** An edge whose subscription handles everything and does nothing. */
import { createEdge } from "../../../worker/index.ts";

const edge = createEdge({ subscriptions: { all: { handle: () => undefined } } });

export const { LogObject, StreamObject, SubscriptionObject } = edge;

export default edge;
