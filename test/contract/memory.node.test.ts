import { describeEventStore } from "./event-store-contract.ts";
import { MemoryStore } from "./memory-store.ts";

describeEventStore("memory", () => new MemoryStore());
