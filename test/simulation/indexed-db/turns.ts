/**
 * The requests that open or delete a database: https://w3c.github.io/IndexedDB/#opening. Those of one database take turns, whichever tab they
 * come from. What a tab's code need not do is done at once, as browsers do it outside of the tab; the tab gets the result after the disk's
 * latency. So a frozen tab holds up others only with a connection that it doesn't close, and with an upgrade that it doesn't finish. As the
 * standard says, `blocked` waits until each tab has got `versionchange`. A frozen tab gets it when it thaws.
 *
 * Fault: `fail-open`: an open fails with UnknownError, before it changes anything. Left out: a deletion that fails. The product waits for none.
 */
import { Connection } from "./connection.ts";
import type { DatabaseData, Turn } from "./database-data.ts";
import { DatabaseEvent } from "./events.ts";
import { failure } from "./failure.ts";
import { errorEvent, type OpenRequest } from "./request.ts";
import type { Tab } from "./tab.ts";
import { Transaction } from "./transaction.ts";

abstract class Wait implements Turn {
  readonly tab: Tab;
  readonly data: DatabaseData;
  readonly request: OpenRequest;
  /** Connections that have not got `versionchange` yet. */
  readonly #unaware = new Set<Connection>();
  #isAsked = false;
  #isBlocked = false;

  constructor(tab: Tab, data: DatabaseData, request: OpenRequest) {
    this.tab = tab;
    this.data = data;
    this.request = request;
  }

  abstract advance(): boolean;

  /** True when no connection is left. Else it has asked them to close. */
  protected isAlone(newVersion: number | null): boolean {
    if (!this.#isAsked) {
      this.#isAsked = true;
      for (const connection of this.data.connections) this.#ask(connection, newVersion);
    }
    const { connections } = this.data;
    if (connections.size === 0) return true;
    for (const connection of this.#unaware) if (!connections.has(connection)) this.#unaware.delete(connection);
    if (this.#unaware.size === 0 && !this.#isBlocked) {
      this.#isBlocked = true;
      const blocked = new DatabaseEvent("blocked", { oldVersion: this.data.version, newVersion });
      this.tab.post(0, () => this.tab.report(this.request.dispatch(blocked)));
    }
    return false;
  }

  #ask(connection: Connection, newVersion: number | null): void {
    if (connection.isClosing) return;
    const { tab, data } = connection;
    const oldVersion = data.version;
    this.#unaware.add(connection);
    tab.post(Math.max(0, connection.readyAt - tab.loop.now), () => {
      if (!connection.isClosing) tab.report(connection.dispatch(new DatabaseEvent("versionchange", { oldVersion, newVersion })));
      this.#unaware.delete(connection);
      data.advance();
    });
  }

  protected fail(error: DOMException, wait = this.tab.faults.latency("open")): void {
    this.tab.post(wait, () => {
      this.request.transaction = null;
      this.request.settle(undefined, error);
      this.tab.report(this.request.dispatch(errorEvent()));
    });
  }
}

export class Opening extends Wait {
  readonly #version: number | undefined;
  #hasBegun = false;
  #isUpgrading = false;
  #isOver = false;

  constructor(tab: Tab, data: DatabaseData, request: OpenRequest, version: number | undefined) {
    super(tab, data, request);
    this.#version = version;
  }

  override advance(): boolean {
    if (this.tab.isGone || this.#isOver) return true;
    if (this.#isUpgrading) return false;
    return this.#open();
  }

  #open(): boolean {
    const { data, tab } = this;
    const version = this.#version ?? Math.max(1, data.version);
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      if (tab.faults.strikes("fail-open")) {
        this.fail(failure("UnknownError", "The database can't be opened."));
        return true;
      }
    }
    if (data.version > version) {
      this.fail(failure("VersionError", "The database has a newer version."));
      return true;
    }
    if (data.version === version) {
      this.#succeed(new Connection(tab, data), tab.faults.latency("open"));
      return true;
    }
    if (this.isAlone(version)) this.#upgrade(version);
    return false;
  }

  #succeed(connection: Connection, wait: number): void {
    connection.readyAt = this.tab.loop.now + wait;
    this.tab.post(wait, () => this.tab.report(this.request.succeed(connection)));
  }

  #upgrade(version: number): void {
    this.#isUpgrading = true;
    const { data, tab, request } = this;
    const connection = new Connection(tab, data);
    const before = data.version;
    const upgrade = new Transaction(connection, [...data.stores.values()], "versionchange", "strict");
    connection.upgrade = upgrade;
    connection.version = version;
    data.version = version;
    upgrade.undos.push(() => {
      data.version = before;
      connection.version = before;
    });
    upgrade.onEnd = (isCommitted, isFired) => this.#onEnd(connection, isCommitted, isFired);
    tab.post(tab.faults.latency("open"), () => {
      if (upgrade.state === "finished") return;
      request.transaction = upgrade;
      request.settle(connection);
      upgrade.begin(() => request.dispatch(new DatabaseEvent("upgradeneeded", { oldVersion: before, newVersion: version })));
    });
  }

  #onEnd(connection: Connection, isCommitted: boolean, isFired: boolean): void {
    if (!isFired) {
      connection.readyAt = connection.upgrade?.endsAt ?? 0;
      if (!isCommitted) connection.isClosing = true;
      this.#isOver = isCommitted;
      if (isCommitted) this.data.advance();
      return;
    }
    connection.upgrade = undefined;
    this.#isOver = true;
    this.request.transaction = null;
    if (isCommitted && !connection.isClosing) this.tab.report(this.request.succeed(connection));
    else {
      connection.close();
      this.request.settle(undefined, failure("AbortError", "The upgrade was aborted, or the connection was closed."));
      this.tab.report(this.request.dispatch(errorEvent()));
    }
    this.data.advance();
  }
}

export class Deletion extends Wait {
  override advance(): boolean {
    const { data, tab, request } = this;
    if (tab.isGone) return true;
    if (data.version > 0 && !this.isAlone(null)) return false;
    const oldVersion = data.version;
    data.version = 0;
    data.stores = new Map();
    data.settle();
    tab.post(tab.faults.latency("open"), () => {
      tab.report(request.succeed(undefined, new DatabaseEvent("success", { oldVersion, newVersion: null })));
    });
    return true;
  }
}
