/** The page of `page.ts` in a browser that no driver controls. It asks its server what to call, and sends the result: `remote.ts`. */
import { device } from "./page.ts";
import type { Call, Outcome } from "./remote.ts";

const page = crypto.randomUUID();

async function post(path: string, text: string): Promise<Response> {
  const response = await fetch(`${path}?page=${page}`, { method: "POST", body: text });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}

window.report = (text) => void post("/report", text);

async function perform({ id, method, args }: Call): Promise<void> {
  const settled = await Promise.allSettled([Reflect.apply(device[method], device, args)]);
  const [result] = settled;
  const outcome: Outcome = result.status === "fulfilled" ? { id, value: result.value } : { id, error: String(result.reason) };
  await post("/done", JSON.stringify(outcome));
}

for (;;) {
  const call: Call = await (await post("/next", "")).json();
  void perform(call);
}
