import "fake-indexeddb/auto";
import { openStore } from "../../client/index.ts";
import { describeEventStore } from "./event-store-contract.ts";

describeEventStore("fake-indexeddb", () => openStore({ name: crypto.randomUUID() }));
