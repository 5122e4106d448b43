/** The name of a stream's object, `store/streamId`, in its parts. No store's id has a slash. */
export function partsOf(name: string): { readonly store: string; readonly streamId: string } {
  const slash = name.indexOf("/");
  return { store: name.slice(0, slash), streamId: name.slice(slash + 1) };
}
