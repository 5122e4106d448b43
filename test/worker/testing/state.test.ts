import { describeState } from "../objects/state-contract.ts";
import { openTestPlatform } from "./platform.ts";

describeState("an object's state in the stand-in", async (work) => {
  const { stub } = await openTestPlatform(
    () =>
      class {
        readonly state: DurableObjectState;
        constructor(state: DurableObjectState) {
          this.state = state;
        }
        run(): unknown {
          return work(this.state);
        }
      },
  );
  return stub("a").run() as Promise<never>; // what `work` returns
});
