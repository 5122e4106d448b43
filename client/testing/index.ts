/** `headwater/testing`: what an app's own tests need, under any runner or none. */
export { type Given, given, type When } from "./given.ts";
export { type Added, type GivenEvent, type GivenProjection, givenProjection } from "./given-projection.ts";
export { type GivenRecorded, givenRecorded } from "./given-recorded.ts";
export { type MemoryStoreOptions, openMemoryStore } from "./memory-store.ts";
export type { Refusal } from "./refusal.ts";
export { type EventSample, replaySamples } from "./upcasters.ts";
