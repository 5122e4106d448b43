/** Loads a part of the app that has its own chunk. */
import { UnavailableError } from "../../shared/errors.ts";
import { messageOf } from "../../shared/thrown.ts";

/**
 * @param load calls `import()`. A bundler finds the chunk by that call, so each caller writes its own
 * @throws UnavailableError if it can't be loaded, e.g. since a deployment has replaced the file
 */
export async function loadPart<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new UnavailableError(`A part of the app can't be loaded: ${messageOf(cause)}. Reload the web page.`, {}, { cause });
  }
}
