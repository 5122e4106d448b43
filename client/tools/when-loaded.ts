/**
 * Starts something when what it needs is loaded.
 *
 * @param failed called if that fails. Without it the failure is an unhandled rejection, which the web page's own handlers get
 * @returns a function that ends it, also before it has started
 */
export function whenLoaded<T>(needed: Promise<T>, start: (needed: T) => () => void, failed?: (error: unknown) => void): () => void {
  let isOver = false;
  const started = needed.then((given) => (isOver ? undefined : start(given)));
  void started.catch(failed);
  return () => {
    isOver = true;
    void started.then(
      (stop) => stop?.(),
      () => undefined, // `failed` was called with it
    );
  };
}
