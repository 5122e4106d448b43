/**
 * The baselines at the edge: an object that only inserts a request's body as one row, or sends a message back on a WebSocket; a Worker that
 * answers at once; and a file that is in the Worker's memory.
 */
import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly STREAMS: DurableObjectNamespace<StreamObject>;
}

/** It has the name and the binding of the edge's own object, so that it is started in the same way. */
export class StreamObject extends DurableObject<Env> {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    state.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL)");
  }

  insert(body: string): number {
    return this.ctx.storage.sql.exec<{ id: number }>("INSERT INTO rows (body) VALUES (?) RETURNING id", body).one().id;
  }

  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    socket.send(message);
  }
}

let file = new ArrayBuffer(0);

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const name = new URL(request.url).pathname;
    if (name === "/health") return new Response("ok");
    if (name === "/file") {
      if (request.method === "PUT") file = await request.arrayBuffer();
      return new Response(request.method === "PUT" ? null : file, { headers: { "content-type": "application/json" } });
    }
    if (name === "/at-once") return Response.json({ length: (await request.text()).length });
    const object = env.STREAMS.getByName(name);
    if (request.headers.get("upgrade") === "websocket") return object.fetch(request);
    return Response.json({ id: await object.insert(await request.text()) });
  },
};
