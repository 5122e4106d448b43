import { openMemoryStore } from "../../client/testing/index.ts";
import { describeEventStore } from "./event-store-contract.ts";

describeEventStore("openMemoryStore", () => openMemoryStore());
