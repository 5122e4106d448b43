/** The edge, with a log that fails its streams in the way that a test has set. */
import { createEdge, type EdgeEnv } from "../../../worker/index.ts";
import { LogObject as RealLog } from "../../../worker/log/log-object.ts";
import { StreamObject } from "../../../worker/stream/stream-object.ts";

export { StreamObject };

interface Env extends EdgeEnv {
  /** `before` it takes a publication, `after` it has, or `silent`: it has, and never answers. */
  readonly DEAF?: "before" | "after" | "silent";
}

export class LogObject extends RealLog {
  override publish(runs: Parameters<RealLog["publish"]>[0]): ReturnType<RealLog["publish"]> {
    const { DEAF: deaf }: Env = this.env;
    if (deaf === "before") throw new Error("The log is deaf.");
    const published = super.publish(runs);
    if (deaf === "after") throw new Error("The log is deaf.");
    // A call's answer may be a promise, whatever the type of the one that it takes the place of.
    return deaf === "silent" ? (new Promise(() => undefined) as never) : published;
  }
}

export default createEdge();
