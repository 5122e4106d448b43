/** The folder that a browser keeps its data in. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function temporaryProfile(): Promise<string> {
  return mkdtemp(join(tmpdir(), "headwater-browser-"));
}

export async function removeProfile(profile: string): Promise<void> {
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** For a program that looks for its folders in the environment: https://specifications.freedesktop.org/basedir-spec */
export function profileEnv(profile: string): Record<string, string> {
  const names = { HOME: "", XDG_DATA_HOME: "data", XDG_CACHE_HOME: "cache", XDG_CONFIG_HOME: "config", XDG_STATE_HOME: "state" };
  return Object.fromEntries(Object.entries(names).map(([name, folder]) => [name, join(profile, folder)]));
}
