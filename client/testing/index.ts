/** `headwater/testing`: tools for an app's own tests. They work with any test runner, or without one. */
export { type Given, given, type When } from "./given.ts";
export { type Added, type GivenEvent, type GivenProjection, givenProjection } from "./given-projection.ts";
export { type GivenRecorded, givenRecorded } from "./given-recorded.ts";
export { type EdgeParts, type MemoryEdge, type MemoryEdgeOptions, openMemoryEdge } from "./memory-edge.ts";
export type { MemoryNetwork } from "./memory-network.ts";
export { type MemoryStoreOptions, openMemoryStore } from "./memory-store.ts";
export type { Refusal } from "./refusal.ts";
export { type EventSample, replaySamples } from "./upcasters.ts";
