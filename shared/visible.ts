/**
 * Text of others, for a terminal or a viewer of log lines. Some characters move the cursor, change colours or the direction of text, or can't
 * be seen: with them a text could show something else than it is.
 */

/** Control characters (ESC and those of C1 too), marks of direction and others without a shape, and separators of lines. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text with each such character as `\u001b`, its escape in JSON: JSON is still JSON, with the same meaning. Line breaks are such too. */
export function toVisible(text: string): string {
  return text.replaceAll(UNSEEN, (character) =>
    Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}
