/** The edge, with a log that takes no publication while it is told to be deaf. */
import { createEdge, type EdgeEnv, LogObject as RealLog, StreamObject } from "../../../worker/index.ts";

export { StreamObject };

interface Env extends EdgeEnv {
  readonly DEAF?: string;
}

export class LogObject extends RealLog {
  override publish(runs: Parameters<RealLog["publish"]>[0]): ReturnType<RealLog["publish"]> {
    const env: Env = this.env;
    if (env.DEAF === "yes") throw new Error("The log is deaf.");
    return super.publish(runs);
  }
}

export default createEdge();
