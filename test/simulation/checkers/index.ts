/** All checkers of a world, one for each invariant of docs/architecture.md. */
import { AcknowledgedChecker } from "./acknowledged.ts";
import type { Checker } from "./checker.ts";
import { ConservationChecker } from "./conservation.ts";
import { ConsumerChecker } from "./consumer.ts";
import { ConvergenceChecker } from "./convergence.ts";
import { DenseChecker } from "./dense.ts";
import { EdgeSubscriptionChecker } from "./edge-subscriptions.ts";
import { FeedOrderChecker } from "./feed-order.ts";
import { ImmutableChecker } from "./immutable.ts";
import { OneHistoryChecker } from "./one-history.ts";
import { ProjectionChecker } from "./projections.ts";
import { SnapshotChecker } from "./snapshots.ts";
import { StockChecker } from "./stock.ts";
import { SubscriptionChecker } from "./subscriptions.ts";
import { TenancyChecker } from "./tenancy.ts";
import { UniqueIdsChecker } from "./unique-ids.ts";

export function allCheckers(): readonly Checker[] {
  return [
    // What merges two histories breaks other promises too, and this one says why.
    new OneHistoryChecker(),
    new AcknowledgedChecker(),
    new DenseChecker(),
    new UniqueIdsChecker(),
    new FeedOrderChecker(),
    new ConvergenceChecker(),
    new ConservationChecker(),
    new ConsumerChecker(),
    new StockChecker(),
    new SnapshotChecker(),
    new ProjectionChecker(),
    new SubscriptionChecker(),
    new EdgeSubscriptionChecker(),
    new ImmutableChecker(),
    new TenancyChecker(),
  ];
}
