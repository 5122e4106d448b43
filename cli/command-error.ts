/** What ends a command: a sentence for the person at the terminal. */
export class CommandError extends Error {}
