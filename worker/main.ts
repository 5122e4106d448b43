/** The Worker that `wrangler deploy` and `npm start` run: the edge as it is, beside the demo's files. */
import { createEdge } from "./index.ts";

const edge = createEdge();

export const { LogObject, StreamObject } = edge;

export default edge;
