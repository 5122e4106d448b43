import { SELF } from "cloudflare:test";
import { connectStore } from "../../client/http.ts";
import { describeEventStore } from "./event-store-contract.ts";

describeEventStore("the edge over HTTP in workerd", () =>
  connectStore({ url: `https://edge.example/v1/${crypto.randomUUID()}`, fetch: (input, init) => SELF.fetch(input, init) }),
);
