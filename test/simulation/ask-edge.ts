/** A request of the operator, who may do everything in a store. */
import type { Edge } from "./edge.ts";
import { signToken } from "./token.ts";

/** @param path in the store @param body of a POST; without one it is a GET */
export function askAsOperator(edge: Edge, store: string, path: string, body?: object): Promise<Response> {
  const token = signToken("operator", { stores: [store], until: Number.POSITIVE_INFINITY }, ["read", "append", "admin"]);
  const headers = { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) };
  const init = body === undefined ? { headers } : { headers, method: "POST", body: JSON.stringify(body) };
  return edge.direct(new Request(`http://edge/v1/${store}${path}`, init));
}
