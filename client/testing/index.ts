/** `headwater/testing`: what an app's own tests need, under any runner or none. */
export { type Given, given, type When } from "./given.ts";
export type { Refusal } from "./refusal.ts";
