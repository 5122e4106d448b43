/** An error that ends a command. Its message is a sentence for the person at the terminal. */
export class CommandError extends Error {
  /** Lines below the message. */
  readonly list: readonly string[];

  constructor(message: string, { list = [], ...options }: ErrorOptions & { readonly list?: readonly string[] } = {}) {
    super(message, options);
    this.list = list;
  }
}
