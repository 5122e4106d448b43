/** What must and what must not compile of an edge. Never run. */
import * as edge from "../../worker/index.ts";

const { LogObject, StreamObject } = edge.createEdge();

export { LogObject, StreamObject };

// @ts-expect-error a Worker exports the classes of its own edge: those of the package are types
export const Shared = edge.LogObject;
declare const log: edge.LogObject;
log satisfies object;

const grant: edge.Grant = { store: "permits", streams: ["Permit-*"], can: ["read"] };
edge.createEdge({ authenticate: () => ({ actor: "ann", grants: [grant] }) });
// @ts-expect-error a grant names streams
edge.createEdge({ authenticate: () => ({ actor: "ann", grants: [{ store: "permits", can: ["read"] }] }) });
throw new edge.ForbiddenError();
