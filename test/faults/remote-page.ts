/** The page of `page.ts` in a browser that no driver controls. It asks its server what to call, and sends the result: `remote.ts`. */
import { device } from "./page.ts";
import type { Call, Outcome } from "./remote.ts";

const page = crypto.randomUUID();

/** Until it is answered: the process that sends a page's requests may end before the page does. */
async function post(path: string, text: string): Promise<Response> {
  for (;;) {
    const response = await fetch(`${path}?page=${page}`, { method: "POST", body: text }).catch(() => undefined);
    if (response?.ok === false) throw new Error(`${path}: ${response.status}`);
    if (response !== undefined) return response;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
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
