/** What some users and callers do besides, in some worlds, and in which part of all worlds they do it. */
import { Random } from "../random.ts";

const SHARES = {
  /** Somebody sends the edge requests of every form, right ones and wrong ones. */
  probes: 0.05,
  /** A script on a server pushes to a store of its own, and reads it in every way. */
  script: 0.08,
  /** A person is alone with a device and a store, which lives on the device alone at first. */
  solo: 0.07,
  /** The apps of devices read their stores in every way there is. */
  browse: 0.05,
  /** Devices have browsers of all kinds. */
  browsers: 0.1,
  /** A person's device is behind a wall, which does not let everything through. */
  walled: 0.1,
  /** The apps and the edge have event types. */
  types: 0.1,
  /** People share a device, and log in and out. */
  persons: 0.06,
  /** A new version of the app is deployed, beside tabs and devices with the old one. */
  rollout: 0.3,
  /** Some tabs have the app as it was before it had deciders. */
  undecided: 0.05,
} as const;

export type HabitName = keyof typeof SHARES;

/** Each by a chance of its own: a new habit changes none of the others. */
export function habitsOf(seed: number): readonly HabitName[] {
  const names = Object.keys(SHARES) as readonly HabitName[]; // the keys of a literal
  return names.filter((name) => new Random(seed, `habit ${name}`).chance(SHARES[name]));
}
