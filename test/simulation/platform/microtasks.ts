/**
 * Lets every promise that can continue do so, at once and in this turn of the event loop. So a world runs synchronously: between two of
 * its tasks nothing is left to do.
 */
import { setFlagsFromString } from "node:v8";

// V8's own checkpoint, which it makes after each task of an event loop. It must not be called from within a microtask.
setFlagsFromString("--allow-natives-syntax");
export const runMicrotasks = new Function("%PerformMicrotaskCheckpoint()") as () => void; // it takes and returns nothing
