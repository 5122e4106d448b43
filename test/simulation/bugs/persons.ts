/** Bugs in whom a device's database belongs to: persons and addresses. */
import { type Bug, patch } from "./bug.ts";

const OWNER = "shared/device/owner.ts";
const IDENTITY = "client/sync/identity.ts";
const PARTS = "client/store-parts.ts";

/** People share a device, and little else happens. */
const SHARED_DEVICE: NonNullable<Bug["world"]> = { devices: 1, tabs: 1, streams: 1, actions: 5, hasTenant: false, habits: ["persons"] };

export const PERSONS: readonly Bug[] = [
  {
    name: "the person is not compared",
    patches: [patch(OWNER, "if (differ(owner.person, person))", "if (differ(owner.person, null))")],
    world: SHARED_DEVICE,
    by: "readings",
  },
  {
    name: "the address is not compared",
    patches: [patch(OWNER, "if (differ(owner.url, url) && owner.url !== movedFrom)", "if (differ(owner.url, null))")],
    world: SHARED_DEVICE,
    by: "readings",
  },
  {
    name: "all persons share a database",
    patches: [patch(PARTS, "const name = databaseName(given, person);", "const name = databaseName(given, undefined);")],
    world: SHARED_DEVICE,
    by: "readings",
  },
  {
    name: "an append does not ask who appends",
    patches: [
      patch(
        IDENTITY,
        "return token !== undefined && (claim.person === null || this.isRefused);",
        "return token !== undefined && this.isRefused;",
      ),
    ],
    world: SHARED_DEVICE,
    by: "readings",
  },
];
