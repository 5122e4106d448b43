/** A `DOMStringList` of the names of stores or indexes, sorted. */
class Names extends Array<string> {
  contains(name: string): boolean {
    return this.includes(name);
  }

  item(place: number): string | null {
    return this[place] ?? null;
  }
}

export function namesOf(names: Iterable<string>): readonly string[] {
  const sorted = new Names();
  for (const name of names) sorted.push(name);
  return sorted.sort();
}
