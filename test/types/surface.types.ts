/** What must and what must not compile of statuses, live values and errors. Never run. */
import * as http from "../../client/http.ts";
import {
  type HeadwaterError,
  type LiveValue,
  openStore,
  type Status,
  type SubscriptionStatus,
  VersionConflictError,
} from "../../client/index.ts";

const store = await openStore({ name: "permits", sync: { url: "https://edge.example/v1/permits", webSocket: false } });

// A status is a property and a live value, everywhere.
const status: Status = store.status;
const live: LiveValue<Status> = store.liveStatus();
live.subscribe(({ connection }) => connection === "online");
// @ts-expect-error the connection is `online`
live.subscribe(({ connection }) => connection === "live");
// @ts-expect-error a status is not changed by an app
status.pending = 0;
// @ts-expect-error one way to listen
store.watch(() => undefined);
// @ts-expect-error an app does not set the status
live.set(status);

const table = await store.project({ name: "counts", version: 1, evolve: (count: number | undefined) => (count ?? 0) + 1 });
table.liveStatus().subscribe(({ state }) => state === "rebuilding");
// @ts-expect-error one way to listen
table.watch(() => undefined);

const mailer = await store.subscription("mailer");
const progress: SubscriptionStatus | undefined = mailer.status;
mailer.liveStatus().subscribe((value) => value?.state === "waiting");
// @ts-expect-error the status is a property
mailer.status();
// @ts-expect-error the words of a status are the edge's: `state`, `attempts`, `error`
progress?.isStopped;
for (const { id, type, error } of await mailer.deadLetters()) await mailer.replay([id, type, error]);

// @ts-expect-error the feed socket is an option of one name
await openStore({ name: "permits", sync: { url: "https://edge.example/v1/permits", live: true } });

// Each error says what to do about it, and each entry has the classes.
declare const error: HeadwaterError;
if (error.remedy === "retry") error.details.retryAfter?.toFixed();
// @ts-expect-error no such remedy
if (error.remedy === "reload") error.code.length;
const same: typeof http.VersionConflictError = VersionConflictError;
new same().actualVersion.toFixed();
// @ts-expect-error an error is one of the classes
new http.HeadwaterError("unavailable");
