/** An edge that decides the commands of a category, in a Worker of its own. */
import { createEdge } from "../../../worker/index.ts";
import { stock } from "../../support/shelf.ts";

const edge = createEdge({ deciders: { Stock: stock } });

export const { LogObject, StreamObject, SubscriptionObject } = edge;

export default edge;
