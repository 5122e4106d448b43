/** How many messages a feed socket may send. Only memory has the counts: an eviction starts them again. */

/** Messages of a socket in `PERIOD` milliseconds, at most. */
const MESSAGES = 200;
const PERIOD = 10_000;

export const FLOODED = `More than ${MESSAGES} messages in ${PERIOD / 1000} seconds: send the next pull after the page of the one before.`;

export class MessageRate {
  /** The messages of each socket, and since when they are counted. */
  readonly #counts = new WeakMap<WebSocket, { since: number; messages: number }>();

  /** Counts a message. @returns whether the socket has sent too many */
  isExceeded(socket: WebSocket): boolean {
    const now = Date.now();
    let count = this.#counts.get(socket);
    if (count === undefined || now - count.since > PERIOD) {
      count = { since: now, messages: 0 };
      this.#counts.set(socket, count);
    }
    count.messages++;
    return count.messages > MESSAGES;
  }
}
