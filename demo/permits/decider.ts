/**
 * What may be recorded about a permit request, and when. `docs/permits.md` says it in plain words.
 *
 *     receipt     drafted ──► checked ──► determined ──► sent
 *     question    unasked ──► advice (again after each round of advice) ──► settled
 *                                                                             ├── nothing more
 *     unlicensed            drafted ──► checked ──► determined ──► sent ◄─────┤   ends the case
 *     hold                  drafted ──► checked ──► determined ──► sent ◄─────┘
 *
 * The receipt and the question run side by side. Adjusting a letter that was not sent makes it a draft again.
 *
 * 1. Nothing precedes the request.
 * 2. A letter goes out only as it was checked and determined, and once.
 * 3. A question is answered again only where something new has come in.
 * 4. What was asked is waited for, and what came in is weighed.
 * 5. One outcome, and nothing after the end of the case.
 *
 * Who does it and how late it is are not asked: the log's people check their own work, and record what they did after a deadline.
 */
import type { Decider, Json } from "../../client/index.ts";
import { type Activity, isActivity, type Letter, type LetterStep, stepOf } from "./activities.ts";

/** How far a letter is. */
type Stage = "drafted" | "checked" | "determined" | "sent";

export interface Permit {
  /** What was begun of each letter. */
  readonly letters: { readonly [letter in Letter]?: Stage };
  /** `advice`: it was determined whether advice is needed. `settled`: what comes of the request was determined. */
  readonly question: "unasked" | "advice" | "settled";
  /** What was done about advice since it was last determined whether it is needed. */
  readonly round: readonly Activity[];
}

export interface RecordActivity {
  readonly activity: Activity;
  /** What the desk notes about it. */
  readonly data?: { readonly [field: string]: Json };
  readonly actor?: string;
}

export interface ActivityRecorded {
  readonly type: Activity;
  readonly data: { readonly [field: string]: Json };
  readonly metadata?: { readonly actor: string };
}

/** Why an activity is refused. */
export const REASONS = {
  "not-requested": "Nothing was requested yet: a permit begins with its confirmation of receipt.",
  "case-closed": "The case is closed: the applicant was told that no permit is needed.",
  "already-requested": "This permit was requested already: another request is another permit.",
  "already-drafted": "The letter is there already: adjust it.",
  "not-drafted": "The letter is not there yet: draft it.",
  "already-checked": "The letter was checked and not changed since.",
  "not-checked": "The letter has not been checked as it stands.",
  "already-determined": "The letter was determined and not changed since.",
  "not-determined": "The letter has not been determined as it stands.",
  "already-sent": "The letter was sent: what went out stays as it is.",
  "receipt-not-sent": "The applicant has no receipt yet: send it before the letter that ends the case.",
  "nothing-new": "It was determined whether advice is needed, and no advice has come in since.",
  "advice-not-determined": "It was not determined whether advice is needed.",
  "advice-repeated": "This was done in this round of advice: determine first whether more is needed.",
  "advice-not-requested": "Nobody outside was asked for advice in this round.",
  "advice-awaited": "Advice was requested and has not come in.",
  "advice-not-weighed": "Advice has come in: determine first whether more is needed.",
  "outcome-determined": "What comes of the request was determined: advice can't change it any more.",
  "outcome-not-determined": "What comes of the request was not determined yet.",
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
    // An older or another app may have recorded more than these rules know.
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

/** Why the activity can't be recorded on what is known of the permit; undefined where it can. */
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
  // What a check or a second thought has found. What was determined may be changed until it is sent, and is determined anew.
  adjust: { drafted: "not-checked" },
  determine: { drafted: "not-checked", determined: "already-determined" },
  send: { drafted: "not-checked", checked: "not-determined" },
};

/** The receipt depends on nothing; the other two letters tell what was determined of the request. */
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
