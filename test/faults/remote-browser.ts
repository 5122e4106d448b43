/** A browser without a driver, with one page that is controlled from outside. It is killed and started again, always on the same profile. */
import type { Killable } from "../support/engines/group.ts";
import type { InstalledBrowser } from "../support/engines/installed.ts";
import { removeProfile, temporaryProfile } from "../support/engines/profile.ts";
import type { RemoteControl, RemotePage } from "./remote.ts";

export class RemoteBrowser {
  readonly profile: string;
  readonly #control: RemoteControl;
  readonly #installed: InstalledBrowser;
  #running: Killable | undefined;
  #page: RemotePage | undefined;

  private constructor(control: RemoteControl, installed: InstalledBrowser, profile: string) {
    this.#control = control;
    this.#installed = installed;
    this.profile = profile;
  }

  static async start(control: RemoteControl, installed: InstalledBrowser): Promise<RemoteBrowser> {
    const browser = new RemoteBrowser(control, installed, await temporaryProfile());
    await browser.restart();
    return browser;
  }

  get page(): RemotePage {
    if (this.#page === undefined) throw new Error("the browser does not run");
    return this.#page;
  }

  async restart(): Promise<void> {
    this.#page = await this.#control.pageOf(async (url) => {
      this.#running = await this.#installed.start(this.profile, url);
    });
  }

  async kill(): Promise<void> {
    this.#page = undefined;
    await this.#running?.kill();
  }

  async stop(): Promise<void> {
    await this.kill();
    await removeProfile(this.profile);
  }
}
