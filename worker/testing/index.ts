/** The stand-in, as the simulation uses it. */
export type { CallFate } from "./clock.ts";
export type { ObjectClass } from "./object.ts";
export { openPlatform, type Platform } from "./objects.ts";
export type { StorageCopy } from "./storage.ts";
