import { expect, test } from "vitest";
import { callerOf, socketRefusal } from "../../../shared/edge/callers.ts";

test.each([
  ["ann", "203.0.113.7", "actor:ann"],
  [null, "203.0.113.7", "address:203.0.113.7"],
  [null, null, "address:unknown"],
  [null, "2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"],
  [null, "2001:0DB8:0001:0002::9", "address:2001:db8:1:2::/64"],
  [null, "2001:db8::9", "address:2001:db8:0:0::/64"],
  [null, "2001:db8::", "address:2001:db8:0:0::/64"],
  [null, "1::2:3:4:5:6:7", "address:1:0:2:3::/64"],
  [null, "::1", "address:0:0:0:0::/64"],
  [null, "::ffff:203.0.113.7", "address:203.0.113.7"],
  [null, "0:0:0:0:0:ffff:203.0.113.7", "address:203.0.113.7"],
  [null, "64:ff9b::203.0.113.7", "address:64:ff9b:0:0::/64"],
])("a caller with the actor %s at %s is counted as %s", (actor, address, caller) => {
  expect(callerOf(actor, address)).toBe(caller);
});

test.each([
  [{ all: 19_999, ofCaller: 99, unnamed: 9_999 }, "ann", undefined],
  [{ all: 19_999, ofCaller: 99, unnamed: 9_999 }, null, undefined],
  [{ all: 20_000, ofCaller: 0, unnamed: 0 }, "ann", "The store has 20000"],
  [{ all: 100, ofCaller: 100, unnamed: 0 }, "ann", "This actor has 100"],
  [{ all: 100, ofCaller: 100, unnamed: 100 }, null, "Callers without an actor at this address have 100"],
  [{ all: 10_000, ofCaller: 0, unnamed: 10_000 }, null, "Callers without an actor have 10000"],
  [{ all: 10_000, ofCaller: 0, unnamed: 10_000 }, "ann", undefined],
])("with %o, one more feed socket of %s: %s", (open, actor, refusal) => {
  const found = socketRefusal(open, actor);
  if (refusal === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(refusal);
});
