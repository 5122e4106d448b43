/**
 * `headwater/single`: `headwater` and `headwater/event-types` together. The build makes one file of it, with everything that it imports: for a
 * service worker, which can't load chunks, and for a web page without a bundler.
 */
export * from "../shared/event/event-types.ts";
export * from "./index.ts";
