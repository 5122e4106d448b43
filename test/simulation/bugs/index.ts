/**
 * Deliberate bugs: each is a patch of the product's source. A simulation that finds no bug proves something only if it finds these.
 */
import type { Bug } from "./bug.ts";
import { DECIDING } from "./deciding.ts";
import { DEVICE_SUBSCRIPTIONS } from "./device-subscriptions.ts";
import { EDGE_BUGS } from "./edge.ts";
import { EDGE_SUBSCRIPTIONS } from "./edge-subscriptions.ts";
import { PERSONS } from "./persons.ts";
import { SHARED } from "./shared.ts";
import { STORAGE } from "./storage.ts";
import { STRANGERS } from "./strangers.ts";
import { STREAMS_AND_ROWS } from "./streams-and-rows.ts";
import { SYNC } from "./sync.ts";
import { VERSIONS } from "./versions.ts";
import { WRONG_HISTORIES } from "./wrong-histories.ts";

export type { Bug } from "./bug.ts";

/** Each bug is found by the world of one of so many seeds, counted from 1. */
export const WITHIN = 2000;

export const BUGS: readonly Bug[] = [
  ...SHARED,
  ...STORAGE,
  ...SYNC,
  ...PERSONS,
  ...STREAMS_AND_ROWS,
  ...DEVICE_SUBSCRIPTIONS,
  ...EDGE_BUGS,
  ...EDGE_SUBSCRIPTIONS,
  ...STRANGERS,
  ...WRONG_HISTORIES,
  ...DECIDING,
  ...VERSIONS,
];
