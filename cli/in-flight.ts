/** Requests that a command has open at once. */
const IN_FLIGHT = 6;

/** Runs `work` for each item, a few at a time. @throws the first error */
export async function eachInFlight<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  const worker = async () => {
    for (let item = left.next(); item.done !== true; item = left.next()) await work(item.value);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}
