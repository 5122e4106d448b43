import { openStore } from "../../client/index.ts";
import { describeEventStore } from "./event-store-contract.ts";

describeEventStore("IndexedDB in a browser", () => openStore({ name: crypto.randomUUID() }));
