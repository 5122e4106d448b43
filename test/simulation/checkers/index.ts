/**
 * All checkers of a world. A number in a checker's name is that of its invariant in docs/architecture.md: 1 to 10, and several check 7. The
 * checkers without a number are for other promises to a user.
 */
import { AcknowledgedChecker } from "./acknowledged.ts";
import { CallsChecker } from "./calls.ts";
import type { Checker } from "./checker.ts";
import { ConservationChecker } from "./conservation.ts";
import { ConsumerChecker } from "./consumer.ts";
import { ConvergenceChecker } from "./convergence.ts";
import { DenseChecker } from "./dense.ts";
import { EdgeSubscriptionChecker } from "./edge-subscriptions.ts";
import { ErrorsChecker } from "./errors.ts";
import { FeedOrderChecker } from "./feed-order.ts";
import { GivenChecker } from "./given.ts";
import { ImmutableChecker } from "./immutable.ts";
import { OneHistoryChecker } from "./one-history.ts";
import { ProjectionChecker } from "./projections.ts";
import { ReadingsChecker } from "./readings.ts";
import { ShownChecker } from "./shown.ts";
import { SilentlyWrongChecker } from "./silently-wrong.ts";
import { SnapshotChecker } from "./snapshots.ts";
import { StockChecker } from "./stock.ts";
import { SubscriptionChecker } from "./subscriptions.ts";
import { TenancyChecker } from "./tenancy.ts";
import { UniqueIdsChecker } from "./unique-ids.ts";
import { VersionsChecker } from "./versions.ts";

export function allCheckers(): readonly Checker[] {
  return [
    // What merges two histories breaks other promises too, and this one says why.
    new OneHistoryChecker(),
    new SilentlyWrongChecker(),
    new AcknowledgedChecker(),
    new DenseChecker(),
    new UniqueIdsChecker(),
    new FeedOrderChecker(),
    new ConvergenceChecker(),
    new ConservationChecker(),
    new ConsumerChecker(),
    // What the wrong version decides breaks other promises too, and this one says why.
    new VersionsChecker(),
    new StockChecker(),
    new GivenChecker(),
    new SnapshotChecker(),
    new ProjectionChecker(),
    new SubscriptionChecker(),
    new EdgeSubscriptionChecker(),
    new ImmutableChecker(),
    new TenancyChecker(),
    new ShownChecker(),
    new ReadingsChecker(),
    new ErrorsChecker(),
    new CallsChecker(),
  ];
}
