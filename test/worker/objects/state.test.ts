import { env, runInDurableObject } from "cloudflare:test";
import { describeState } from "./state-contract.ts";

describeState("an object's state in workerd", (work) =>
  runInDurableObject(env.STREAMS.getByName(`state/${crypto.randomUUID()}`), (_, state) => work(state)),
);
