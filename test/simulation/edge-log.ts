/** The edge's log. What an operator finds in the log of a sound edge comes from its platform, its handlers or its settings. */
import { STORAGE_FAULT_NAMES } from "./faults.ts";
import type { Ground } from "./ground.ts";

/** In the text of an error that the world has caused. */
const EXPECTED = [
  "Network connection lost.",
  "Durable Object is overloaded.",
  "This instance of the object has ended",
  "The object that the function belongs to has gone.",
  "SQLITE_FULL",
  "The object died of this commit.",
  "The limiter is down.",
  "AUTH is neither",
  "HandlerError: ",
  "An event has become a dead letter",
  "The subscription has stopped",
  "LogMismatchError: ",
  "PositionAheadError: ",
  "JWT_SECRET",
  "JWT_JWKS",
  "no binding SUBSCRIPTIONS",
];

/** The same, of worlds in which storage fails. */
const OF_STORAGE = ["StorageDamagedError: ", "A stream and the log hold different events.", "Rows of the log were lost, and their stream"];

/** The same, of worlds in which an operator puts a log back, or wipes it. */
const OF_OPERATORS = ["The log does not have the history any more that it once had"];
const REPLACEMENTS = ["wipe-store", "restore-store", "wipe-log", "restore-log"] as const;

/** Takes a line of the log. */
export function readLine(ground: Ground, line: string): void {
  ground.tell(() => `edge: ${line.slice(0, 300)}`);
  const { where, message }: { where?: string; message?: string } = JSON.parse(line);
  // A line without it is of a request that was answered.
  if (message !== undefined) readFault(ground, `the edge's log of ${where}`, message);
}

/** Takes an error that nothing has caught, or that the log names. */
export function readFault(ground: Ground, where: string, message: string): void {
  const has = (fault: keyof typeof ground.params.faults) => ground.params.faults[fault] !== undefined;
  const ofStorage = STORAGE_FAULT_NAMES.some(has) ? OF_STORAGE : [];
  const expected = [...EXPECTED, ...ofStorage, ...(REPLACEMENTS.some(has) ? OF_OPERATORS : [])];
  if (!expected.some((text) => message.includes(text))) ground.observe({ kind: "uncaught", where, error: message });
}
