import { openStore } from "../../client/index.ts";
import { describeEventStore } from "./event-store-contract.ts";

describeEventStore("IndexedDB in Chromium", () => openStore({ name: crypto.randomUUID() }));
