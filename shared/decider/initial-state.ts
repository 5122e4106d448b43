/** The state of a stream before its first event. A state is data, so a function is one that returns it. */
export function initialStateOf<State>({ initialState }: { readonly initialState: State | (() => State) }): State {
  return typeof initialState === "function" ? (initialState as () => State)() : initialState;
}
