/** The permit desk: a web page that works without a network. Everything that it shows comes from the device's store. */
import { HeadwaterError, openStore, StreamNotFoundError } from "../client/index.ts";
import { appendLines, readLines } from "./real-input.ts";
import { element, showConflicts, showMessage, showStatus, showStream } from "./view.ts";

const parameters = new URLSearchParams(location.search);
const device = parameters.get("device") ?? "A";
const storeId = parameters.get("store") ?? "permits";

const online = element("online", HTMLInputElement);
/** The sockets that are open. If the network is switched off, they are closed. */
const sockets = new Set<WebSocket>();

function throughSwitch<T>(request: T): T {
  if (!online.checked) throw new TypeError("The network is switched off.");
  return request;
}

function connected(socket: WebSocket): WebSocket {
  sockets.add(socket);
  socket.addEventListener("close", () => sockets.delete(socket));
  return socket;
}

const store = await openStore({
  name: `${storeId}-${device}`,
  sync: {
    url: `${location.origin}/v1/${storeId}`,
    pollEvery: 2_000,
    // The switch on the web page replaces the network, so that you can try going offline without pulling a plug.
    fetch: async (...request) => fetch(...throughSwitch(request)),
    webSocket: (...given) => connected(new WebSocket(...throughSwitch(given))),
  },
});

const stream = element("stream", HTMLInputElement);
/** The version of the stream that the web page shows. The next step is recorded with this expected version. */
let seenVersion = 0;

async function show(): Promise<void> {
  showStatus(store.status);
  showConflicts(store.conflicts(), (resolve) => resolve());
  if (!stream.checkValidity()) return;
  const streamId = stream.value;
  const events = await eventsOf(streamId);
  // The user may have typed another permit while the stream was read.
  if (streamId !== stream.value) return;
  seenVersion = events.at(-1)?.version ?? 0;
  showStream(streamId, events);
}

async function eventsOf(streamId: string) {
  try {
    return (await store.readStream(streamId)).events;
  } catch (error) {
    if (error instanceof StreamNotFoundError) return [];
    throw error;
  }
}

async function sync(): Promise<void> {
  try {
    await store.sync();
  } catch (error) {
    // Being offline is not an error: the status shows it, and pending commits stay pending.
    if (!(error instanceof HeadwaterError)) throw error;
    if (online.checked) showMessage(error.message);
  }
  await show();
}

async function record(form: HTMLFormElement): Promise<void> {
  const { type, note } = Object.fromEntries(new FormData(form));
  try {
    await store.appendToStream(stream.value, [{ type: String(type), data: { note }, metadata: { actor: `Device ${device}` } }], {
      expectedVersion: seenVersion,
    });
    showMessage(`Recorded on this device: ${type}, ${stream.value}@${seenVersion + 1}.`);
    element("note", HTMLInputElement).value = "";
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    showMessage(error.message);
  }
  await show();
}

async function importPermits(button: HTMLButtonElement): Promise<void> {
  const progress = element("progress", HTMLProgressElement);
  button.disabled = true;
  progress.hidden = false;
  const start = performance.now();
  try {
    const lines = await readLines("/permits.ndjson.gz");
    const count = await appendLines(store, lines, async (done) => {
      progress.value = done / lines.length;
    });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    showMessage(`${count.toLocaleString("en")} steps recorded on this device in ${seconds} s.`);
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    showMessage(`The import ended early: ${error.message}`);
  }
  progress.hidden = true;
  button.disabled = false;
  await show();
}

element("device", HTMLElement).textContent = `This is device ${device}.`;
const other = element("other-device", HTMLAnchorElement);
other.href = `?${new URLSearchParams({ device: device === "A" ? "B" : "A", store: storeId })}`;

element("record", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void record(event.target as HTMLFormElement);
});
element("import", HTMLButtonElement).addEventListener("click", (event) => void importPermits(event.target as HTMLButtonElement));
element("sync", HTMLButtonElement).addEventListener("click", () => void sync());
stream.addEventListener("input", () => void show());
online.addEventListener("change", () => {
  if (!online.checked) for (const socket of sockets) socket.close();
  void (online.checked ? sync() : show());
});

// The store syncs by itself. The web page is drawn at most once a frame, even if more changes.
let isDrawing = false;
store.liveStatus().subscribe(() => {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    void show();
  });
});
await show();
if ("serviceWorker" in navigator) await navigator.serviceWorker.register("/service-worker.js", { type: "module" });
