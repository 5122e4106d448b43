/** With what the app of a tab opens its store. */
import type { Scope } from "../../shared/device/replica.ts";
import { registeredTypes } from "./habits/types.ts";
import { type AppVersion, type StockDecider, stockDecider } from "./models/stock.ts";
import { rulesOf } from "./rule.ts";
import type { StoreOptions, Tab } from "./tab.ts";
import { signGuarded, signToken } from "./token.ts";

/** The app's decider, in the version that a tab has. */
export function deciderOf({ name: where, device: { name: device }, ground }: Tab, version: AppVersion): StockDecider {
  return stockDecider(
    {
      onDecide: (key, by, form) => ground.observe({ kind: "decides", where, key, version: by, form }),
      onDecided: (key) => ground.observe({ kind: "decided", device, key }),
      onRefused: (key) => ground.observe({ kind: "undecided", device, key }),
    },
    version,
  );
}

/**
 * @param scope the categories that the device follows
 * @param stock undefined if the app of the tab has no deciders
 */
export function optionsOf(
  { device, ground, client }: Tab,
  scope: Scope,
  version: AppVersion,
  stock: StockDecider | undefined,
): StoreOptions {
  const { params } = ground;
  const { pageEvents, pushCommits, pushStreams, pollEvery, isAutomatic, isLive, isGuarded } = params;
  return {
    name: "app",
    sync: {
      url: `http://edge/v1/${device.store}`,
      token: () => (isGuarded ? signGuarded : signToken)(device.name, device.token),
      automatic: isAutomatic,
      pollEvery,
      webSocket: isLive,
      ...(scope !== null && { filter: { categories: scope } }),
    },
    limits: { pageEvents, pushCommits, pushStreams },
    ...(stock !== undefined && { deciders: [stock] }),
    ...rulesOf(ground, device.name),
    eventTypes: registeredTypes(client, params, { ofEvents: 1, ofCommands: version }),
  };
}
