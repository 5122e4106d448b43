/** Draws the web page. It keeps no state of its own. */
import type { Conflict, Status, StreamEvent } from "../client/index.ts";

export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`The page has no ${type.name} with the id ${id}.`);
  return found;
}

export function showMessage(text: string): void {
  element("message", HTMLElement).textContent = text;
}

export function showStatus({ connection, pending, conflicts, cursor, head }: Status): void {
  element("connection", HTMLElement).textContent = connection;
  element("pending", HTMLElement).textContent = pending.toLocaleString("en");
  element("conflict-count", HTMLElement).textContent = String(conflicts);
  element("cursor", HTMLElement).textContent = cursor === null ? "nothing yet" : `#${cursor.position} of #${head}`;
}

export function showStream(streamId: string, events: readonly StreamEvent[]): void {
  const version = events.at(-1)?.version ?? 0;
  element("stream-title", HTMLElement).textContent = streamId;
  element("empty", HTMLElement).hidden = events.length > 0;
  const table = element("events", HTMLTableElement);
  table.hidden = events.length === 0;
  table.tBodies[0]?.replaceChildren(...events.map(toRow));
  element("builds-on", HTMLElement).textContent =
    version === 0 ? "The next step will be the first of this permit." : `The next step builds on ${streamId}@${version}.`;
}

function toRow({ version, type, data, metadata, occurredAt, position, pending }: StreamEvent): HTMLTableRowElement {
  const row = document.createElement("tr");
  row.className = pending ? "pending" : "confirmed";
  row.insertCell().textContent = `@${version}`;
  const step = row.insertCell();
  step.append(type);
  const note = typeof data === "object" && data !== null && "note" in data ? String(data["note"]) : "";
  if (note !== "") step.append(node("small", note));
  row.insertCell().textContent = new Date(occurredAt).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  row.insertCell().textContent = String(metadata["actor"] ?? "");
  row.insertCell().textContent = pending ? "pending" : position === null ? "recorded" : `#${position}`;
  return row;
}

/** @param onResolve called with what the user has chosen */
export function showConflicts(conflicts: readonly Conflict[], onResolve: (resolve: () => Promise<void>) => Promise<void>): void {
  element("conflicts", HTMLElement).hidden = conflicts.length === 0;
  const list = element("conflict-list", HTMLElement);
  // The list is drawn again only if the conflicts have changed, so that a button keeps the focus.
  const shown = conflicts.map((conflict) => conflict.events[0]?.id).join();
  if (list.dataset["shown"] === shown) return;
  list.dataset["shown"] = shown;
  list.replaceChildren(...conflicts.map((conflict) => toItem(conflict, onResolve)));
}

function toItem(conflict: Conflict, onResolve: (resolve: () => Promise<void>) => Promise<void>): HTMLElement {
  const item = node("li");
  item.className = "choice";
  const sides = node("div");
  sides.className = "sides";
  sides.append(side("Yours", conflict.events), side("Theirs, at the edge", conflict.theirs));
  const rebase = choice("Record mine after theirs", () => onResolve(() => conflict.rebase()));
  const discard = choice("Discard mine", () => onResolve(() => conflict.discard()));
  discard.className = "quiet";
  const buttons = node("div");
  buttons.className = "buttons";
  buttons.append(rebase, discard);
  item.append(node("strong", conflict.streamId), node("p", conflict.reason), sides, buttons);
  return item;
}

function side(title: string, events: readonly { readonly type: string }[]): HTMLElement {
  const part = node("div");
  const list = node("ul");
  list.append(...events.map(({ type }) => node("li", type)));
  part.append(title, list);
  return part;
}

function choice(label: string, choose: () => Promise<void>): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", () => {
    button.disabled = true;
    void choose();
  });
  return button;
}

function node(tag: string, text = ""): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
