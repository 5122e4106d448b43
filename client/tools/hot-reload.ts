/**
 * Hot reload in development: a module that was changed is evaluated again, so its deciders and projections are new objects with the names of
 * the former ones. A new one takes over from the former one. In production that would be a mistake of the app, and is refused.
 */

/** What was replaced. If it is used again, two different ones have the name, and it was no hot reload. */
const replaced = new WeakSet<object>();

/**
 * Whether `now` takes over from `before`, which has the same name. It also warns, because an app that makes a new one at each call would work
 * in development alone.
 *
 * @param what how the warning names it, e.g. `decider stock`
 */
export function takesOver(isDevelopment: boolean, before: object, now: object, what: string): boolean {
  if (!isDevelopment || replaced.has(now)) return false;
  replaced.add(before);
  console.warn(
    `Another ${what} has taken over, as after a hot reload. If nothing was reloaded, create it once, in a module: in production it is refused.`,
  );
  return true;
}
