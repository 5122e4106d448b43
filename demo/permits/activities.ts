/**
 * The 27 activities of the permit log, each with the step that it does. The names are those of the log, with its spelling mistakes.
 *
 * A letter goes from its draft to the post in four stages. Three letters are written about a request: its receipt, a document that says
 * that no permit is needed, and a report that says that the request is on hold.
 */

export type Letter = "receipt" | "unlicensed" | "hold";
export type LetterStep = "draft" | "check" | "adjust" | "determine" | "send";

type Step =
  | { readonly letter: Letter; readonly step: LetterStep }
  /** `advice`: is advice needed? It is decided again with each round of advice. `outcome`: which letter does the request get? */
  | { readonly question: "advice" | "outcome" }
  /** `own`: the desk's own advice. `asked`: a request for outside advice. `received`: the answer to it. */
  | { readonly advice: "own" | "asked" | "received" };

export const STEPS = {
  "Confirmation of receipt": { letter: "receipt", step: "draft" },
  "T02 Check confirmation of receipt": { letter: "receipt", step: "check" },
  "T03 Adjust confirmation of receipt": { letter: "receipt", step: "adjust" },
  "T04 Determine confirmation of receipt": { letter: "receipt", step: "determine" },
  "T05 Print and send confirmation of receipt": { letter: "receipt", step: "send" },
  "T06 Determine necessity of stop advice": { question: "advice" },
  "T07-1 Draft intern advice aspect 1": { advice: "own" },
  "T07-2 Draft intern advice aspect 2": { advice: "own" },
  "T07-3 Draft intern advice hold for aspect 3": { advice: "own" },
  "T07-4 Draft internal advice to hold for type 4": { advice: "own" },
  "T07-5 Draft intern advice aspect 5": { advice: "own" },
  "T08 Draft and send request for advice": { advice: "asked" },
  "T09-1 Process or receive external advice from party 1": { advice: "received" },
  "T09-2 Process or receive external advice from party 2": { advice: "received" },
  "T09-3 Process or receive external advice from party 3": { advice: "received" },
  "T09-4 Process or receive external advice from party 4": { advice: "received" },
  "T10 Determine necessity to stop indication": { question: "outcome" },
  "T11 Create document X request unlicensed": { letter: "unlicensed", step: "draft" },
  "T12 Check document X request unlicensed": { letter: "unlicensed", step: "check" },
  "T13 Adjust document X request unlicensed": { letter: "unlicensed", step: "adjust" },
  "T14 Determine document X request unlicensed": { letter: "unlicensed", step: "determine" },
  "T15 Print document X request unlicensed": { letter: "unlicensed", step: "send" },
  "T16 Report reasons to hold request": { letter: "hold", step: "draft" },
  "T17 Check report Y to stop indication": { letter: "hold", step: "check" },
  "T18 Adjust report Y to stop indicition": { letter: "hold", step: "adjust" },
  "T19 Determine report Y to stop indication": { letter: "hold", step: "determine" },
  "T20 Print report Y to stop indication": { letter: "hold", step: "send" },
} as const satisfies Record<string, Step>;

export type Activity = keyof typeof STEPS;

export function isActivity(type: string): type is Activity {
  return Object.hasOwn(STEPS, type);
}

export function stepOf(activity: Activity): Step {
  return STEPS[activity];
}
