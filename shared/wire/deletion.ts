/** The message of a deletion, for administrators: `headwater delete` reads it, see docs/operations.md. */
import * as v from "valibot";
import { wholeNumber } from "./schema.ts";

/** `DELETE /v1/{store}`: how far the deletion is. */
export const storeDeletion = v.object({
  /** The log's id: the request that deletes names it. */
  log: v.string(),
  /** `present`: nothing is deleted. `deleting`: the store answers nobody else, and the rest goes. `deleted`: nothing is left. */
  state: v.picklist(["present", "deleting", "deleted"]),
  /** What is left of the log. */
  events: wholeNumber,
  /** Streams that the log has, and that are left. */
  streams: wholeNumber,
  /** Subscriptions at the edge that are left. */
  subscriptions: wholeNumber,
});

export type StoreDeletion = v.InferOutput<typeof storeDeletion>;
