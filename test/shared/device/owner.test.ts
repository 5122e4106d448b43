/** Whom a device's database belongs to, and what the databases of stores and persons are called. */
import { describe, expect, test } from "vitest";
import { databaseName, databasesOf, decideOwner, NOBODY, refusalOf, rowDatabasesOf } from "../../../shared/device/owner.ts";

const HERE = "https://here/v1/permits";
const THERE = "https://there/v1/permits";

describe("the owner", () => {
  test.each([
    [NOBODY, { url: null, person: null }, NOBODY],
    [NOBODY, { url: HERE, person: "ann" }, { url: HERE, person: "ann" }],
    [
      { url: HERE, person: null },
      { url: null, person: "ann" },
      { url: HERE, person: "ann" },
    ],
    [
      { url: HERE, person: "ann" },
      { url: null, person: null },
      { url: HERE, person: "ann" },
    ],
    [
      { url: HERE, person: "ann" },
      { url: THERE, person: "ann", movedFrom: HERE },
      { url: THERE, person: "ann" },
    ],
    [
      { url: THERE, person: "ann" },
      { url: THERE, person: "ann", movedFrom: HERE },
      { url: THERE, person: "ann" },
    ],
  ])("of %o, claimed by %o, is %o", (owner, claim, after) => {
    expect(decideOwner(owner, claim)).toEqual({ kind: "owned", owner: after });
  });

  test("what adds nothing changes nothing", () => {
    const owner = { url: HERE, person: "ann" };
    const decision = decideOwner(owner, { url: HERE, person: null });
    expect(decision.kind === "owned" && decision.owner).toBe(owner);
  });

  test.each([
    [{ url: HERE, person: "bob" }, "person", "ann", "bob"],
    [{ url: THERE, person: "ann" }, "sync.url", HERE, THERE],
    [{ url: THERE, person: "ann", movedFrom: THERE }, "sync.url", HERE, THERE],
    [{ url: THERE, person: "bob", movedFrom: HERE }, "person", "ann", "bob"],
  ])("a claim of %o is refused by its %s: %s, not %s", (claim, field, owner, given) => {
    const decision = decideOwner({ url: HERE, person: "ann" }, claim);
    expect(decision).toEqual({ kind: "refused", field, owner, given });
    if (decision.kind === "refused") expect(refusalOf(decision)).toContain(`belongs to ${owner}, not to ${given}`);
  });
});

describe("the databases", () => {
  const persons = [undefined, "ann", "a/b", "a~b", "a%7Eb", "ä", "a b", "~", "permits@1", "ann/permits@1"];
  const names = ["permits", "permits/archive", "permits@1", "p"];

  test("no two stores and persons share a name", () => {
    const all = names.flatMap((name) => persons.map((person) => databaseName(name, person)));
    expect(new Set(all).size).toBe(all.length);
  });

  test("those of a store are found, and no others", () => {
    const all = names.flatMap((name) => persons.map((person) => databaseName(name, person)));
    for (const name of names) {
      expect(databasesOf(name, [...all, "permits~", "other"])).toEqual(persons.map((person) => databaseName(name, person)));
    }
  });

  test("the rows of one are found, and no others", () => {
    const all = ["permits", "permits/rows@1", "permits/rows@12", "permits/archive/rows@1", "permits~ann/rows@1", "permits/other"];
    expect(rowDatabasesOf("permits", all)).toEqual(["permits/rows@1", "permits/rows@12"]);
    expect(rowDatabasesOf("permits~ann", all)).toEqual(["permits~ann/rows@1"]);
  });
});
