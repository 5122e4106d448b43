/** The event loop of a tab, as the stand-ins of the browser see it. */
export interface EventLoop {
  /** Virtual milliseconds since the world began. */
  readonly now: number;
  /** Runs `task` in the tab after so many virtual milliseconds. A frozen tab's tasks wait until it thaws, in order; a dead tab's never run. */
  post(milliseconds: number, task: () => void): void;
}
