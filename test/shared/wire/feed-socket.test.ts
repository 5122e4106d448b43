import { expect, test } from "vitest";
import { toBearerProtocol, tokenOfProtocols } from "../../../shared/wire/feed-socket.ts";

/** What a subprotocol may consist of: https://www.rfc-editor.org/rfc/rfc6455#section-4.1 and RFC 2616. */
const SUBPROTOCOL = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

test.each([
  ["eyJh.eyJz.x-y_z", "bearer.eyJh.eyJz.x-y_z"],
  ["a+b~c", "bearer.a+b~c"],
  ["c2Vzc2lvbg==", "base64url.bearer.YzJWemMybHZiZz09"],
  ["a/b", "base64url.bearer.YS9i"],
  ["???>>>", "base64url.bearer.Pz8_Pj4-"],
  ['ann:1,2;"x"', "base64url.bearer.YW5uOjEsMjsieCI"],
])("the token %s is the subprotocol %s, and back", (token, protocol) => {
  expect(toBearerProtocol(token)).toBe(protocol);
  expect(protocol).toMatch(SUBPROTOCOL);
  expect(tokenOfProtocols(["headwater.v1", protocol])).toBe(token);
});

test("every printable character survives", () => {
  for (let code = 0x21; code < 0x7f; code++) {
    const token = `a${String.fromCharCode(code)}`;
    expect(toBearerProtocol(token)).toMatch(SUBPROTOCOL);
    expect(tokenOfProtocols([toBearerProtocol(token)])).toBe(token);
  }
});

test("what carries no token is none", () => {
  const encoded = (text: string) => `base64url.bearer.${btoa(text)}`;
  for (const protocol of [
    "headwater.v1",
    "bearer.",
    "base64url.bearer.",
    "base64url.bearer.%",
    encoded("a b"),
    encoded("a\nb"),
    encoded("é"),
  ]) {
    expect(tokenOfProtocols([protocol])).toBeUndefined();
  }
});
