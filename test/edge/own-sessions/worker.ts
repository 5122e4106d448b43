/** The edge of an app with its own sessions: a bearer token is a user's name, and works until that user is locked out. */
import { createEdge, type EdgeEnv, type Principal } from "../../../worker/index.ts";

/** Of this Worker's isolate, which the objects share here. */
const lockedOut = new Set<string>();

const edge = createEdge({
  authenticate: (request): Principal | null => {
    const user = /^Bearer (\w+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    if (user === undefined || lockedOut.has(user)) return null;
    return { actor: user, grants: [{ store: "*", streams: ["*"], can: ["read", "append"] }] };
  },
  checkEvery: 0,
});

export const { LogObject, StreamObject } = edge;

export default {
  async fetch(request: Request, env: EdgeEnv, context: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith("/lock-out/")) return edge.fetch(request, env, context);
    lockedOut.add(pathname.slice("/lock-out/".length));
    return new Response();
  },
};
