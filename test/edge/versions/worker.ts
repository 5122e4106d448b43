/** The edge of an app in two versions: `APP` says which one is deployed. */
import { env } from "cloudflare:workers";
import { createEdge } from "../../../worker/index.ts";
import { one, two, upcasting } from "../../support/versions.ts";

const { APP } = env as { readonly APP?: string };
const edge = APP === "2" ? createEdge({ deciders: { Shelf: two }, eventTypes: upcasting() }) : createEdge({ deciders: { Shelf: one } });

export const { LogObject, StreamObject, SubscriptionObject } = edge;

export default edge;
