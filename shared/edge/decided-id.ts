/** The ids of events that the edge decides. */
import { markAfter, START_MARK } from "../mark.ts";

/**
 * The id of an event that the edge decides for a command: the same each time. It is a UUID of version 8 (RFC 9562).
 *
 * @param place of the event among those of the command, from 0
 */
export function decidedEventId(commandId: string, place: number): string {
  const first = markAfter(START_MARK, [commandId, String(place)]);
  const hex = first + markAfter(first, [commandId]);
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, variant + hex.slice(17, 20), hex.slice(20)].join("-");
}

/** Whether an id is of the kind that the edge makes. No caller may give one to a command or an event: they could be claimed in advance. */
export function isDecidedId(id: string): boolean {
  return id.charAt(14) === "8";
}
