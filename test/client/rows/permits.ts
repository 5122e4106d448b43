/** A projection of permits, for the tests of rows. */
import { openStore, type Projection, type RecordedEvent, type Store } from "../../../client/index.ts";

export interface Permit {
  readonly status: string;
  readonly steps: number;
}

export type PermitEvent = Pick<RecordedEvent, "streamId"> & { readonly type: string };

export const permits: Projection<Permit, PermitEvent> = {
  name: "permits",
  version: 1,
  category: "Permit",
  indexes: ["status", "steps"],
  evolve: (row, { type }) => (type === "Withdrawn" ? undefined : { status: type, steps: (row?.steps ?? 0) + 1 }),
};

export const step = (type: string) => ({ type, data: null });
export const openLocal = (name: string = crypto.randomUUID()) => openStore({ name });

export async function record(store: Store, ...steps: [key: number, type: string][]): Promise<void> {
  for (const [key, type] of steps) await store.appendToStream(`Permit-${key}`, [step(type)]);
}
