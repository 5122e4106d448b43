/** The Worker that `wrangler deploy` and `npm start` run: the edge as it is, beside the demo's files. */
import { createEdge } from "./index.ts";

export { LogObject, StreamObject } from "./index.ts";

export default createEdge();
