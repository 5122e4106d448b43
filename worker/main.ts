/** The Worker that `wrangler deploy` and `npm start` run: the edge with its defaults, beside the demo's files. */
import { createEdge } from "./index.ts";

const edge = createEdge();

export const { LogObject, StreamObject } = edge;

export default edge;
