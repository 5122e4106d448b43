/** An error that ends a command. Its message is a sentence for the person at the terminal. */
export class CommandError extends Error {}
