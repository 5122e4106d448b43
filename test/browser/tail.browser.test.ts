import { expect, inject, test } from "vitest";
import { connectStore } from "../../client/http.ts";

test("a tail reads what is there and what comes, and ends when its loop does", async () => {
  const store = connectStore({ url: `${inject("edgeUrl")}/v1/tail-${crypto.randomUUID().slice(0, 8)}` });
  await store.appendToStream("Note-1", [{ type: "Noted", data: 1 }]);
  const read: unknown[] = [];
  for await (const { data } of store.tail()) {
    read.push(data);
    if (read.length === 3) break;
    await store.appendToStream("Note-1", [{ type: "Noted", data: read.length + 1 }]);
  }
  expect(read).toEqual([1, 2, 3]);
});
