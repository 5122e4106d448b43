/** Waits for something that happens in the background, however slow the machine is. */
import { vi } from "vitest";

const LONGEST = 45_000;

/** Resolves when `check` throws no more. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: LONGEST, interval: 20 });
}
