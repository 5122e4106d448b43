import { expect, test } from "vitest";
import { errorOf, problemOf } from "../../../shared/errors.ts";
import { judge, type Received } from "../../../shared/wire/answer.ts";
import { pushAnswer } from "../../../shared/wire/wire.ts";

const PAGE = "<html><title>403 Forbidden</title></html>";
const MESSAGE = { log: "l", results: [] };
const PROBLEM = JSON.stringify({ status: 403, ...problemOf(errorOf("forbidden", "No grant.")) });

function judged(received: Partial<Received>): unknown {
  const answer = judge(pushAnswer, {
    status: 200,
    leadsTo: undefined,
    contentType: "text/html; charset=utf-8",
    retryAfter: undefined,
    text: PAGE,
    ...received,
  });
  if (answer.kind === "message") return answer;
  const { kind, error } = answer;
  return answer.kind === "problem" ? [kind, error.code, error.message] : [kind, error.code, answer.mayBeTooMuch];
}

test("a message that matches is the edge's, also at the end of a redirect that has kept the request", () => {
  const text = JSON.stringify(MESSAGE);
  expect(judged({ text })).toEqual({ kind: "message", message: MESSAGE });
  expect(judged({ text, leadsTo: "https://other.example/v1/s" })).toEqual({ kind: "message", message: MESSAGE });
});

test("a problem document is the edge's word, and its code is the error's", () => {
  expect(judged({ status: 403, text: PROBLEM })).toEqual(["problem", "forbidden", "No grant."]);
});

test.each([
  { status: 200, tooMuch: true },
  { status: 400, tooMuch: true },
  { status: 401, tooMuch: true },
  { status: 403, tooMuch: true },
  { status: 404, tooMuch: true },
  { status: 406, tooMuch: true },
  { status: 413, tooMuch: true },
  { status: 407, tooMuch: false },
  { status: 429, tooMuch: false },
  { status: 500, tooMuch: false },
  { status: 502, tooMuch: false },
  { status: 503, tooMuch: false },
  { status: 511, tooMuch: false },
])("a page with status $status is a stranger's: the store can't be reached, whatever the status says", ({ status, tooMuch }) => {
  expect(judged({ status })).toEqual(["stranger", "unavailable", tooMuch]);
  expect(judged({ status, text: "", contentType: null })).toEqual(["stranger", "unavailable", tooMuch]);
});

test("JSON of somebody else is a stranger's, also if it looks like a problem document", () => {
  for (const text of [
    "{}",
    "null",
    '{"message":"Forbidden"}',
    '{"code":"of-the-future","detail":"?"}',
    '{"code":"forbidden"}',
    '{"code":"forbidden","status":"403"}',
    '{"code":"forbidden","status":401}',
  ]) {
    expect(judged({ status: 403, text }), text).toEqual(["stranger", "unavailable", true]);
  }
});

test("what has the form of a problem document, but an ok status, judges nothing", () => {
  expect(judged({ text: PROBLEM })).toEqual(["stranger", "unavailable", false]);
});

test("an answer that broke off, or was cut, may have been too much", () => {
  expect(judged({ text: undefined })).toEqual(["stranger", "unavailable", true]);
  expect(judged({ text: JSON.stringify(MESSAGE).slice(0, -2) })).toEqual(["stranger", "unavailable", true]);
});

test("what a redirect leads to judges nothing, also if an edge is there: it got another request", () => {
  const problem = JSON.stringify({ status: 404, ...problemOf(errorOf("invalid-request", "There is no such route.")) });
  const answer = judge(pushAnswer, {
    status: 404,
    leadsTo: "https://www.example/v1/s/commits",
    contentType: null,
    retryAfter: undefined,
    text: problem,
  });
  expect(answer).toMatchObject({ kind: "stranger", error: { code: "unavailable" }, mayBeTooMuch: false });
  expect(answer.kind === "stranger" && answer.error.message).toContain("https://www.example/v1/s/commits");
});

test("a stranger that says how long to wait is waited for", () => {
  const answer = judge(pushAnswer, { status: 503, leadsTo: undefined, contentType: null, retryAfter: 7, text: "" });
  expect(answer).toMatchObject({ kind: "stranger", error: { details: { retryAfter: 7 } } });
});
