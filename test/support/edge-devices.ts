/** For a test file in Node: one real edge, and devices with a store of their own for each test. */
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type Devices, devicesAt } from "./devices.ts";
import { type EdgeProcess, startEdge } from "./edge.ts";

export interface EdgeDevices {
  /** Of the test that runs, closed behind it. */
  readonly devices: Devices;
  /** Of another store at the same edge, for whoever asks to close. */
  anotherStore(): Devices;
  /** Has `devices` be of another store from now on, within a test. */
  renew(): void;
}

/** To be called at the top of the file: what starts and ends them is registered where it is called. */
export function edgeDevices(): EdgeDevices {
  let edge: EdgeProcess;
  let current: Devices;
  beforeAll(async () => {
    edge = await startEdge();
  });
  afterAll(() => edge.stop());
  const anotherStore = () => devicesAt(edge.url);
  const renew = () => {
    current = anotherStore();
  };
  beforeEach(renew);
  afterEach(() => current.close());
  const devices: Devices = {
    get url() {
      return current.url;
    },
    get atEdge() {
      return current.atEdge;
    },
    open: (...given) => current.open(...given),
    close: () => current.close(),
  };
  return { devices, anotherStore, renew };
}
