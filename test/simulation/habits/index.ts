/** Runs what some users and callers do besides, each with randomness and a network of its own. */
import type { Edge } from "../edge.ts";
import { apart, type Ground } from "../ground.ts";
import { Network } from "../network.ts";
import type { Habit } from "./habit.ts";
import type { HabitName } from "./names.ts";
import { runPersons } from "./persons.ts";
import { probe } from "./probes.ts";
import { runScript } from "./script.ts";
import { runSolo } from "./solo.ts";
import { runWalled } from "./walled.ts";

const HABITS: Partial<Record<HabitName, Habit>> = {
  probes: probe,
  script: runScript,
  solo: runSolo,
  persons: runPersons,
  walled: runWalled,
};

export class Habits {
  readonly #ground: Ground;
  readonly #edge: Edge;
  readonly #unfinished = new Set<HabitName>();

  constructor(ground: Ground, edge: Edge) {
    this.#ground = ground;
    this.#edge = edge;
  }

  start(): void {
    for (const name of this.#ground.params.habits ?? []) {
      const habit = HABITS[name];
      if (habit === undefined) continue;
      const ground = apart(this.#ground, `habit ${name}`);
      const network = new Network(apart(this.#ground, `network of ${name}`), this.#edge);
      this.#unfinished.add(name);
      void habit({ ground, network, edge: this.#edge, name }).then(
        () => this.#unfinished.delete(name),
        (error: unknown) => ground.observe({ kind: "uncaught", where: name, error }),
      );
    }
  }

  /** Those that have not had their last look, which they have when the world has healed. */
  unsettled(): readonly string[] {
    return [...this.#unfinished].map((name) => `the habit ${name} has not finished`);
  }
}
