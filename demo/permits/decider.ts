/**
 * The rules for what may be recorded about a permit request, and when. `docs/permits.md` explains them.
 *
 *     receipt     drafted ──► checked ──► determined ──► sent
 *     question    unasked ──► advice (again after each round of advice) ──► settled
 *                                                                             ├── nothing more
 *     unlicensed            drafted ──► checked ──► determined ──► sent ◄─────┤   ends the case
 *     hold                  drafted ──► checked ──► determined ──► sent ◄─────┘
 *
 * The receipt and the question are independent of each other. If a letter that was not sent is adjusted, it is a draft again.
 *
 * 1. Nothing is recorded before the request.
 * 2. A letter is sent only after it was checked and determined without a later change, and only once.
 * 3. A question is answered again only if something new has come in.
 * 4. Requested advice must come in before the next answer, and advice that came in must be weighed.
 * 5. There is one outcome, and nothing is recorded after the end of the case.
 *
 * The rules check neither the person nor the time: in the log, people check their own work, and record what they did after a deadline.
 */
import type { Decider, Json } from "../../client/index.ts";
import { type Activity, isActivity, type Letter, type LetterStep, stepOf } from "./activities.ts";

/** The stage of a letter. */
type Stage = "drafted" | "checked" | "determined" | "sent";

export interface Permit {
  /** The stage of each letter that was begun. */
  readonly letters: { readonly [letter in Letter]?: Stage };
  /** `advice`: it was determined whether advice is needed. `settled`: the outcome of the request was determined. */
  readonly question: "unasked" | "advice" | "settled";
  /** The activities about advice since it was last determined whether advice is needed. */
  readonly round: readonly Activity[];
}

export interface RecordActivity {
  readonly activity: Activity;
  /** Notes of the desk about the activity. */
  readonly data?: { readonly [field: string]: Json };
  readonly actor?: string;
}

export interface ActivityRecorded {
  readonly type: Activity;
  readonly data: { readonly [field: string]: Json };
  readonly metadata?: { readonly actor: string };
}

/** The reasons for which the decider refuses an activity. */
export const REASONS = {
  "not-requested": "Nothing was requested yet: a permit begins with its confirmation of receipt.",
  "case-closed": "The case is closed: the applicant was informed that no permit is needed.",
  "already-requested": "This permit was requested already: another request is another permit.",
  "already-drafted": "The letter is there already: adjust it.",
  "not-drafted": "The letter is not there yet: draft it.",
  "already-checked": "The letter was checked and not changed since.",
  "not-checked": "The letter was not checked since its last change.",
  "already-determined": "The letter was determined and not changed since.",
  "not-determined": "The letter was not determined since its last change.",
  "already-sent": "The letter was sent: what went out stays as it is.",
  "receipt-not-sent": "The applicant has no receipt yet: send it before the letter that ends the case.",
  "nothing-new": "It was determined whether advice is needed, and no advice has come in since.",
  "advice-not-determined": "It was not determined whether advice is needed.",
  "advice-repeated": "This was done in this round of advice: determine first whether more is needed.",
  "advice-not-requested": "Nobody outside was asked for advice in this round.",
  "advice-awaited": "Advice was requested and has not come in.",
  "advice-not-weighed": "Advice has come in: determine first whether more is needed.",
  "outcome-determined": "The outcome of the request was determined: advice can't change it any more.",
  "outcome-not-determined": "The outcome of the request was not determined yet.",
  "other-outcome": "The other letter was begun: a request is either on hold or needs no permit.",
} as const;

export type Reason = keyof typeof REASONS;

export class ActivityRefused extends Error {
  override readonly name = "ActivityRefused";
  readonly activity: Activity;
  readonly reason: Reason;

  constructor(activity: Activity, reason: Reason) {
    super(`${activity}: ${REASONS[reason]}`);
    this.activity = activity;
    this.reason = reason;
  }
}

export const permits: Decider<Permit, RecordActivity, ActivityRecorded> = {
  name: "permits",
  version: 1,
  initialState: { letters: {}, question: "unasked", round: [] },

  evolve(permit, { type }) {
    // Another app, or an older version of this one, may have recorded types that these rules do not know.
    if (!isActivity(type)) return permit;
    const done = stepOf(type);
    if ("letter" in done) return { ...permit, letters: { ...permit.letters, [done.letter]: STAGE_AFTER[done.step] } };
    if ("advice" in done) return { ...permit, round: [...permit.round, type] };
    return { ...permit, question: done.question === "outcome" ? "settled" : "advice", round: [] };
  },

  decide({ activity, data = {}, actor }, permit) {
    const reason = refusalOf(activity, permit);
    if (reason !== undefined) throw new ActivityRefused(activity, reason);
    return { type: activity, data, ...(actor === undefined ? {} : { metadata: { actor } }) };
  },
};

/** Why the activity can't be recorded for a permit in this state; undefined if it can. */
export function refusalOf(activity: Activity, permit: Permit): Reason | undefined {
  const wanted = stepOf(activity);
  const isRequest = "letter" in wanted && wanted.letter === "receipt" && wanted.step === "draft";
  const isRequested = permit.letters.receipt !== undefined;
  if (isRequest && isRequested) return "already-requested";
  if (!isRequest && !isRequested) return "not-requested";
  if (permit.letters.unlicensed === "sent") return "case-closed";
  if ("letter" in wanted) return refusalOfOutcome(wanted.letter, permit) ?? refusalOfLetter(wanted.letter, wanted.step, permit);
  if (permit.question === "settled") return "outcome-determined";
  if ("advice" in wanted) return refusalOfAdvice(activity, wanted.advice, permit);
  return refusalOfQuestion(wanted.question, permit);
}

const STAGE_AFTER = {
  draft: "drafted",
  check: "checked",
  adjust: "drafted",
  determine: "determined",
  send: "sent",
} as const satisfies Record<LetterStep, Stage>;

/** Why a step can't be taken at a stage. */
const OUT_OF_TURN: Record<LetterStep, { readonly [stage in Stage]?: Reason }> = {
  draft: { drafted: "already-drafted", checked: "already-drafted", determined: "already-drafted" },
  check: { checked: "already-checked", determined: "already-determined" },
  // A check or a second thought may require a change. A determined letter may be changed until it is sent, and is then determined again.
  adjust: { drafted: "not-checked" },
  determine: { drafted: "not-checked", determined: "already-determined" },
  send: { drafted: "not-checked", checked: "not-determined" },
};

/** The receipt depends on nothing. The other two letters state the outcome of the request. */
function refusalOfOutcome(letter: Letter, { question, letters }: Permit): Reason | undefined {
  if (letter === "receipt") return undefined;
  if (question !== "settled") return "outcome-not-determined";
  return letters[letter === "hold" ? "unlicensed" : "hold"] === undefined ? undefined : "other-outcome";
}

function refusalOfLetter(letter: Letter, step: LetterStep, { letters }: Permit): Reason | undefined {
  const stage = letters[letter];
  if (stage === undefined) return step === "draft" ? undefined : "not-drafted";
  if (stage === "sent") return "already-sent";
  const endsCase = letter === "unlicensed" && step === "send";
  return OUT_OF_TURN[step][stage] ?? (endsCase && letters.receipt !== "sent" ? "receipt-not-sent" : undefined);
}

function refusalOfAdvice(activity: Activity, kind: "own" | "asked" | "received", { question, round }: Permit): Reason | undefined {
  if (question === "unasked") return "advice-not-determined";
  if (round.includes(activity)) return "advice-repeated";
  return kind === "received" && !hasKind(round, "asked") ? "advice-not-requested" : undefined;
}

function refusalOfQuestion(wanted: "advice" | "outcome", { question, round }: Permit): Reason | undefined {
  if (question === "unasked") return wanted === "advice" ? undefined : "advice-not-determined";
  if (hasKind(round, "asked") && !hasKind(round, "received")) return "advice-awaited";
  const hasAdvice = round.length > 0;
  if (wanted === "advice") return hasAdvice ? undefined : "nothing-new";
  return hasAdvice ? "advice-not-weighed" : undefined;
}

function hasKind(round: readonly Activity[], kind: "asked" | "received"): boolean {
  return round.some((activity) => {
    const done = stepOf(activity);
    return "advice" in done && done.advice === kind;
  });
}
