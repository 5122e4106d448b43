/** An HTTP server in front of an edge: a proxy, a firewall, or whatever else a test wants to stand there. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

export interface Front {
  /** E.g. `http://127.0.0.1:43211`, without a path. */
  readonly url: string;
  /** What it does with a request; by default it lets everything through. */
  answer: (request: Request, forward: (request: Request) => Promise<Response>) => Response | Promise<Response>;
  close(): Promise<void>;
}

/** @param edge answers what the front lets through */
export async function startFront(edge: (request: Request) => Promise<Response>): Promise<Front> {
  const server = createServer(async (incoming, outgoing) => {
    const response = await front.answer(await requestOf(incoming), edge);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(Buffer.from(await response.arrayBuffer()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const front: Front = {
    url: `http://127.0.0.1:${address.port}`,
    answer: (request, forward) => forward(request),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return front;
}

async function requestOf(incoming: IncomingMessage): Promise<Request> {
  const { method = "GET", url = "/", headers } = incoming;
  const body = method === "POST" ? { body: await text(incoming) } : {};
  const { authorization, "content-type": type } = headers;
  const known = { ...(authorization !== undefined && { authorization }), ...(type !== undefined && { "content-type": type }) };
  return new Request(`http://${headers.host}${url}`, { method, headers: known, ...body });
}
