/** Patches of the product's source: how a world gets a deliberate bug, or a constant that suits a small world. */

export interface Patch {
  /** The file, from the root of the repository. */
  readonly file: string;
  /** A part of the file's text, found exactly once in it. */
  readonly find: string;
  /** The text in its place. */
  readonly replace: string;
}

/**
 * The source of a file with those of the patches that are of this file. They are applied in order, so a later one sees the text of an
 * earlier one.
 *
 * @param file from the root of the repository
 * @throws Error if a patch's text is not found exactly once
 */
export function applyPatches(file: string, source: string, patches: readonly Patch[]): string {
  return patches.filter((patch) => patch.file === file).reduce(applyPatch, source);
}

function applyPatch(source: string, { file, find, replace }: Patch): string {
  const [before, after, ...others] = source.split(find);
  if (before === undefined || after === undefined || others.length > 0) {
    throw new Error(`${file} has this text ${source.split(find).length - 1} times, and a patch needs it once: ${find}`);
  }
  return before + replace + after;
}
