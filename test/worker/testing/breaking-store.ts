/** A store at the edge in memory whose requests break off where a test says so, while the edge loses its memory. */
import { connectStore, type EdgeStore } from "../../../client/http.ts";
import type { MemoryEdge } from "../../../client/testing/index.ts";

/** Called with the number of each request: whether it breaks off before the edge gets it, or after. */
export type BreakOff = (count: number) => "before" | "after" | undefined;

export function breakingStore(edge: MemoryEdge, name: string, onRequest: BreakOff = () => undefined): EdgeStore {
  let count = 0;
  return connectStore({
    url: `http://edge.example/v1/${name}`,
    retries: 0,
    fetch: async (input, init) => {
      const breaksOff = onRequest(++count);
      if (breaksOff === "before") throw new TypeError("killed");
      const response = await edge.fetch(String(input), init);
      if (breaksOff === undefined) return response;
      edge.restart();
      throw new TypeError("killed");
    },
  });
}
