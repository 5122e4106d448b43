import type { Device } from "../device.ts";
import type { Script } from "../script.ts";
import { type StoreOptions, Tab } from "../tab.ts";
import type { HabitParts } from "./habit.ts";

/**
 * Opens a tab, and another one if that fails.
 *
 * @param nextName of a tab
 * @param loop goes on whatever happens to tabs
 */
export async function openTab(
  { network }: HabitParts,
  device: Device,
  loop: Script,
  nextName: () => string,
  optionsOf: (tab: Tab) => StoreOptions,
): Promise<Tab> {
  for (;;) {
    const tab = new Tab(nextName(), device, network);
    device.tabs = [...device.tabs, tab];
    try {
      await tab.open(optionsOf(tab));
      return tab;
    } catch (error) {
      if (!(error instanceof tab.client.HeadwaterError)) throw error;
      tab.die();
    }
    await loop.pause(1_000);
  }
}
