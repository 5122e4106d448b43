/** The network between callers and the edge. Each request and each answer is independent, and may be lost, doubled or late. */
import { type Answer, failure, type Reply } from "./answers.ts";
import type { Ground } from "./ground.ts";

/** Who asks. */
export interface Party {
  readonly isOffline: boolean;
}

/** After so many milliseconds without an answer, whoever asked goes by there being none. */
const PATIENCE = 15_000;

export class Network {
  readonly #ground: Ground;

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  /**
   * @param arrive what the edge does with the request
   * @param answered may be called more than once: what comes after the first is of no use, and comes all the same
   */
  request<T>(party: Party, arrive: (reply: Reply<T>) => void, answered: Reply<T>): void {
    const { scheduler, random } = this.#ground;
    if (party.isOffline) {
      scheduler.after(random.between(1, 50), () => answered(failure("unavailable")));
      return;
    }
    let isAnswered = false;
    const answer = (told: Answer<T>) => {
      isAnswered = true;
      answered(told);
    };
    this.#carry("lose-request", () => arrive((told) => this.#carry("lose-answer", () => answer(told))));
    scheduler.after(PATIENCE, () => {
      if (!isAnswered) answered(failure("unavailable"));
    });
  }

  #carry(loss: "lose-request" | "lose-answer", deliver: () => void): void {
    const { scheduler, random, faults } = this.#ground;
    const copies = faults.strikes("double") ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (faults.strikes(loss)) continue;
      const late = faults.strikes("delay") ? random.spread(200, 120_000) : 0;
      scheduler.after(random.between(5, 60) + late, deliver);
    }
  }
}

/** Only the first answer counts. */
export function once<T>(reply: Reply<T>): Reply<T> {
  let isAnswered = false;
  return (answer: Answer<T>) => {
    if (isAnswered) return;
    isAnswered = true;
    reply(answer);
  };
}
