/** The suite that every store of streams runs, on an edge in memory. */

import { connectStore } from "../../../client/http.ts";
import { openMemoryEdge } from "../../../client/testing/index.ts";
import { createEdge } from "../../../worker/index.ts";
import { describeEventStore } from "../../contract/event-store-contract.ts";

const edge = await openMemoryEdge(createEdge());

describeEventStore("the edge over HTTP in memory", () => {
  const { url, fetch } = edge.network().to(crypto.randomUUID());
  return connectStore({ url, fetch });
});
