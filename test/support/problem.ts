/** The edge's own word in a test's network: a problem document. Any other answer counts as a stranger's. */
import { type ErrorCode, type ErrorDetails, errorOf, problemOf } from "../../shared/errors.ts";

const STATUS: Partial<Record<ErrorCode, number>> = {
  unauthenticated: 401,
  forbidden: 403,
  "position-ahead": 409,
  "payload-too-large": 413,
  unavailable: 503,
};

export function problem(code: ErrorCode, message?: string, details: ErrorDetails = {}): Response {
  const status = STATUS[code] ?? 400;
  return Response.json({ status, ...problemOf(errorOf(code, message, details)) }, { status });
}
