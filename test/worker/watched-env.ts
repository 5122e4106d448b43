/** The bindings of an edge. Each call of an object is counted, and fails if a test says so. */
import { createExecutionContext, env } from "cloudflare:test";
import { createEdge, type EdgeEnv } from "../../worker/index.ts";

export interface Watched {
  readonly env: EdgeEnv;
  /** As `log.publish`, or `A-1.append`; `A-1.published` is a call of what that returned. */
  readonly calls: string[];
  /** How many were in flight at once, at most. */
  most: number;
  /** Stubs that were asked for, by the object's name. */
  readonly stubs: string[];
}

type Stub = Record<string, (...args: unknown[]) => Promise<object>>;

/** An error as the platform throws it, with its flags. */
export function platformError(flags: { retryable?: true; overloaded?: true } = {}): Error {
  return Object.assign(new Error("thrown by the platform"), flags);
}

/** @param fault what a call fails with before it reaches its object; undefined lets it through */
export function watchedEnv(fault: (call: string) => Error | undefined = () => undefined): Watched {
  const LOGS = watch(env.LOGS, (name) => env.LOGS.getByName(name));
  const STREAMS = watch(env.STREAMS, (name) => env.STREAMS.getByName(name));
  const watched: Watched = { env: { ...env, LOGS, STREAMS }, calls: [], most: 0, stubs: [] };
  let inFlight = 0;
  async function counted<T>(call: string, work: () => Promise<T>): Promise<T> {
    watched.calls.push(call);
    watched.most = Math.max(watched.most, ++inFlight);
    try {
      const error = fault(call);
      if (error !== undefined) throw error;
      return await work();
    } finally {
      inFlight--;
    }
  }
  function watch<N extends object>(namespace: N, find: (name: string) => unknown): N {
    const getByName = (name: string) => {
      const stub = find(name) as Stub;
      const object = name.split("/")[1] ?? "log";
      watched.stubs.push(object);
      return new Proxy(stub, {
        get:
          (_, method: string) =>
          async (...args: unknown[]) => {
            const answer = await counted(`${object}.${method}`, async () => stub[method]?.(...args) ?? {});
            if (!("published" in answer)) return answer;
            const { results, run, published } = answer as { results: object; run: object; published: Stub[string] };
            return {
              results,
              run,
              published: (told: unknown) => counted(`${object}.published`, async () => published?.(told) ?? {}),
              [Symbol.dispose]: () => (answer as object as Disposable)[Symbol.dispose](),
            };
          },
      });
    };
    return new Proxy(namespace, { get: (_, name) => (name === "getByName" ? getByName : Reflect.get(namespace, name)) });
  }
  return watched;
}

export async function fetchWatched(watched: Watched, path: string, body?: object): Promise<Response> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  return createEdge().fetch(new Request(`https://edge.example/v1/${path}`, init), watched.env, createExecutionContext());
}
