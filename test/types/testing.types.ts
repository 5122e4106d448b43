/** What must and what must not compile with `headwater/testing`. Never run. */
import type { Decider, Projection, RecordedEvent } from "../../client/index.ts";
import { given, givenProjection } from "../../client/testing/index.ts";

type Opened = { readonly type: "Opened"; readonly data: { readonly limit: number } };
type Closed = { readonly type: "Closed"; readonly data: Record<string, never> };
type Command = { readonly open: number } | { readonly close: true };

declare const account: Decider<"none" | "open" | "closed", Command, Opened | Closed>;
const opened = { type: "Opened", data: { limit: 3 } } as const;

given(account).when({ open: 3 }).then(opened);
given(account, opened).when({ close: true }).then({ type: "Closed", data: {} });
given(account, opened).when({ close: true }).thenNothing();
given(account)
  .when({ close: true })
  .thenRefused(/not open/);
given(account).when({ close: true }).thenRefused(RangeError);
given(account)
  .when({ close: true })
  .thenRefused((error) => error instanceof Error && error.message === "");

// @ts-expect-error an event that the decider does not know
given(account, { type: "Lost", data: {} });
// @ts-expect-error an event whose data is another's
given(account, { type: "Opened", data: {} });
// @ts-expect-error a command that the decider does not know
given(account).when({ lose: true });
// @ts-expect-error a command with a wrong value
given(account).when({ open: "3" });
// @ts-expect-error an event that the decider does not decide
given(account).when({ open: 3 }).then({ type: "Lost", data: {} });
// @ts-expect-error a whole event is expected, not its type
given(account).when({ open: 3 }).then("Opened");
// @ts-expect-error how it is refused is said
given(account).when({ open: 3 }).thenRefused();
// @ts-expect-error a sentence is matched by an expression
given(account).when({ open: 3 }).thenRefused("not open");

/** One that folds what a store recorded takes that, and decides what is new. */
declare const recent: Decider<string | null, { readonly open: number }, Opened, Opened & { readonly occurredAt: string }>;
given(recent, { ...opened, occurredAt: "2026-01-01T00:00:00Z" })
  .when({ open: 1 })
  .then(opened);
// @ts-expect-error what it folds has a time
given(recent, opened);

const counts: Projection<{ readonly steps: number }, Opened> = {
  name: "counts",
  version: 1,
  evolve: (row) => ({ steps: (row?.steps ?? 0) + 1 }),
};
givenProjection(counts, { streamId: "Account-1", ...opened }).thenRows({ "Account-1": { steps: 1 } });
declare const recorded: Projection<
  { steps: number },
  RecordedEvent & { readonly type: "Opened"; readonly data: { readonly limit: number } }
>;
givenProjection(recorded, { streamId: "Account-1", ...opened });
givenProjection(recorded, { streamId: "Account-1", ...opened, recordedAt: "2026-01-31T09:30:00Z" });
// @ts-expect-error an event stands in a stream
givenProjection(counts, opened);
// @ts-expect-error an event that the projection does not know
givenProjection(counts, { streamId: "Account-1", type: "Lost", data: {} });
// @ts-expect-error a row of another form
givenProjection(counts, { streamId: "Account-1", ...opened }).thenRows({ "Account-1": { stairs: 1 } });
