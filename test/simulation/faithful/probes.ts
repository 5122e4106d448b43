/** What a prober asks. Each asks one thing, with its variants. */
import { FEED_PROTOCOL, toBearerProtocol } from "../../../shared/wire/feed-socket.ts";
import { OWN } from "./params.ts";
import type { Prober, Told } from "./prober.ts";

type Probe = (prober: Prober) => Promise<unknown>;

const OTHER_LOG = "00000000-0000-4000-8000-000000000000";
const WRONG_MARK = "0123456789abcdef";

export const PROBES: readonly Probe[] = [
  appends,
  appendsWithErrors,
  pushes,
  pushesAsFollower,
  pushesTooMuch,
  pushesWhatIsNotValid,
  isUnknown,
  isNotAllowed,
  readsPages,
  readsFilteredPages,
  readsWrongPages,
  readsStreams,
  listsStreams,
  readsInPart,
  readsWhatIsBesides,
  asPage,
  opensSocket,
  opensSocketInPart,
  opensWrongSockets,
  readsEventStream,
  failsAtPoison,
];

async function appends(p: Prober): Promise<void> {
  const streamId = p.streamId();
  const events = [p.event({ text: 'ü€😀\u2028\n"\\' }), p.event({ nested: [{ a: [null, true, 1e21, -0.5] }] })];
  const { body } = await p.append(streamId, { events });
  await p.append(streamId, { events });
  await p.append(streamId, { events, expectedVersion: 0 });
  await p.append(streamId, { events: [p.event()], expectedVersion: body.version });
  await p.append(streamId, { events: [p.event()], expectedVersion: "stream-exists" });
  await p.append(streamId, { events: [p.event(), events[0]] });
}

async function appendsWithErrors(p: Prober): Promise<void> {
  const streamId = p.streamId();
  const event = p.event();
  await p.append(streamId, { events: [event] });
  await p.append(streamId, { events: [p.event()], expectedVersion: 10_000 });
  await p.append(streamId, { events: [p.event()], expectedVersion: "no-stream" });
  await p.append(streamId, { events: [{ ...event, data: { other: true } }] });
  await p.append("New-1", { events: [p.event()], expectedVersion: "stream-exists" });
  await p.append(streamId, { events: [p.poisonedEvent("rejected")] });
  await p.append(streamId, { events: [p.poisonedEvent("large")] });
  for (const events of [
    [],
    "x",
    [{}],
    [{ ...event, id: "x" }],
    [{ ...event, type: "" }],
    [{ ...event, occurredAt: "today" }],
    [event, event],
  ])
    await p.append(streamId, { events });
  await p.append(streamId, { events: [p.event()], expectedVersion: -1 });
  await p.append("a%20b", { events: [p.event()] });
  await p.append(streamId, {}, { body: "{" });
  await p.append(streamId, {}, { body: "[]" });
  await p.append(streamId, {}, { body: "" });
}

async function pushes(p: Prober): Promise<void> {
  const [a, b] = ["Permit-1", "Ticket-3"];
  const known = { streamId: a, events: [p.event()] };
  await p.push({ commits: [known] });
  const commits = [
    known,
    { streamId: a, events: [p.event()] },
    { streamId: b, expectedVersion: 9_999, events: [p.event()] },
    { streamId: b, events: [p.event()] },
    { streamId: "Stock-1", events: [p.poisonedEvent("rejected")] },
    { streamId: "Stock-1", events: [p.event()] },
    { streamId: "Note-1", events: [{ ...known.events[0], id: p.event().id }] },
  ];
  await p.push({ commits });
  // A world's edge may take two commits at a time.
  for (let i = 0; i < commits.length; i += 2) await p.push({ commits: commits.slice(i, i + 2) });
  await p.push({ commits: [{ streamId: a, events: [{ ...known.events[0], data: 1 }] }] });
  await p.push({ commits: [] });
}

async function pushesAsFollower(p: Prober): Promise<void> {
  const { log, position, mark, head } = (await p.send(`/v1/${OWN}/feed?limit=3`)).body;
  const commits = () => [{ streamId: p.streamId(), events: [p.event()] }];
  await p.push({ log, position, mark, commits: commits() });
  await p.push({ log, commits: [] });
  await p.push({ position, mark: WRONG_MARK, commits: commits() });
  await p.push({ log: OTHER_LOG, commits: commits() });
  await p.push({ log, position: head + 1_000, commits: commits() });
  await p.push({ log, mark, commits: commits() });
  await p.push({ log, position: -1, commits: commits() });
}

async function pushesTooMuch(p: Prober): Promise<void> {
  const many = (streamOf: (i: number) => string, count: number) =>
    Array.from({ length: count }, (_, i) => ({ streamId: streamOf(i), events: [p.event()] }));
  await p.push({ commits: many(() => "Note-1", p.tooMany + 1) });
  await p.push({ commits: many((i) => `Note-${i}`, 21) });
  await p.push({ commits: many((i) => `Note-${i}`, Math.min(20, p.tooMany)) });
  await p.push({ commits: [{ streamId: "Note-1", events: [p.poisonedEvent("large")] }] });
}

async function pushesWhatIsNotValid(p: Prober): Promise<void> {
  for (const commits of [
    undefined,
    1,
    [1],
    [{}],
    [{ streamId: 1, events: [p.event()] }],
    [{ streamId: "a b", events: [p.event()] }],
    [{ streamId: "Note-1", events: [] }],
    [{ streamId: "Note-1", events: [{ ...p.event(), metadata: 1 }] }],
    [{ streamId: "Note-1", expectedVersion: "never", events: [p.event()] }],
  ])
    await p.push({ commits });
}

async function isUnknown(p: Prober): Promise<void> {
  const [header, payload] = p.tokens.good.split(".");
  const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
  for (const token of [null, "x", p.tokens.expired, p.tokens.foreign, `${header}.${payload}.`, `${none}.${payload}.`]) {
    await p.send(`/v1/${OWN}/feed`, { token });
    await p.append("Note-1", { events: [p.event()] }, { token });
  }
  await p.send(`/v1/${OWN}/feed`, { token: null, headers: { authorization: "Basic eDp5" } });
  await p.send(`/v1/a%20b/feed`);
}

async function isNotAllowed(p: Prober): Promise<void> {
  const { none, reader, part } = p.tokens;
  const commits = [{ streamId: "Stock-1", events: [p.event()] }];
  for (const token of [none, reader, part]) {
    await p.append("Stock-1", { events: [p.event()] }, { token });
    await p.push({ commits }, { token });
    for (const path of ["feed", "streams", "health", "streams/Stock-1", "subscriptions"]) await p.send(`/v1/${OWN}/${path}`, { token });
  }
}

/** The whole feed, page by page. */
async function readsPages(p: Prober): Promise<void> {
  const store = p.store();
  let query = "after=0";
  for (let i = 0; i < 8; i++) {
    const { status, body } = await p.send(`/v1/${store}/feed?${query}&limit=${p.random.between(1, 9)}`);
    if (status !== 200) return;
    query = `after=${body.position}&log=${body.log}&mark=${body.mark}`;
    // The same again, as a reader that is further ahead.
    await p.send(`/v1/${store}/feed?after=0&seen=${body.position}&log=${body.log}&mark=${body.mark}&limit=2`);
  }
}

async function readsFilteredPages(p: Prober): Promise<void> {
  for (const filter of [
    "within=Permit",
    "within=Permit-1&within=Ticket",
    "within=Permit-1&within=Ticket-3",
    "category=Ticket",
    "category=Stock&category=Permit",
    "stream=Permit-1",
    "stream=Permit-1&stream=Nothing-1",
    "stream=Permit-1&within=Ticket",
    "type=Noted",
    "type=Counted&category=Permit",
    "type=%C3%9Cn%C3%AFcode",
    "correlation=c1",
    "since=2020-01-01T00:00:00Z",
    "until=2020-01-01T00:00:00.000Z",
  ]) {
    // Other stores' events have no correlation.
    const store = filter.startsWith("correlation") ? OWN : p.store();
    await p.send(`/v1/${store}/feed?${filter}&after=${p.random.between(0, 3)}&limit=${p.random.between(1, 9)}`);
  }
}

async function readsWrongPages(p: Prober): Promise<void> {
  const store = p.store();
  const { log, head, mark } = (await p.send(`/v1/${store}/feed?limit=2`)).body;
  for (const query of [
    `after=${head + 1000}`,
    `log=${OTHER_LOG}`,
    `log=${log}&seen=${head + 1000}&mark=${mark}`,
    `log=${log}&after=1&mark=${WRONG_MARK}`,
    "limit=0",
    "limit=1000000",
    "limit=1&limit=2",
    "after=-1",
    "after=x",
    "within=a%20b",
    "stream=",
    "since=today",
  ])
    await p.send(`/v1/${store}/feed?${query}`);
}

async function readsStreams(p: Prober): Promise<void> {
  const path = `/v1/${p.store()}/streams/${p.streamId()}`;
  for (const query of [
    "",
    "?limit=2",
    "?from=2&limit=3",
    "?from=1000",
    "?direction=backwards&limit=2",
    "?direction=backwards&from=2",
    "?direction=backwards&from=1000",
    "?direction=up",
    "?from=0",
  ])
    await p.send(`${path}${query}`);
  await p.send(`/v1/${OWN}/streams/Nothing-1`);
  await p.send(`/v1/${OWN}/streams/a%20b`);
}

async function listsStreams(p: Prober): Promise<void> {
  const store = p.store();
  let answer: Told | undefined;
  let after = "";
  do {
    answer = await p.send(`/v1/${store}/streams?limit=2&after=${after}`);
    after = answer.body.next ?? "";
  } while (answer.status === 200 && after !== "");
  for (const query of [
    "",
    "?category=Permit",
    "?category=Ticket&limit=1",
    "?category=a%20b",
    "?after=Permit-1",
    "?limit=0",
    "?category=a&category=b",
  ])
    await p.send(`/v1/${store}/streams${query}`);
}

/** With a token for some streams. */
async function readsInPart(p: Prober): Promise<void> {
  const { part: token } = p.tokens;
  const store = p.store();
  for (const path of [
    "feed",
    "feed?limit=2",
    "feed?category=Stock",
    "feed?within=Permit-1&within=Stock-1",
    "streams",
    "streams?limit=1",
    "streams?category=Ticket",
    "streams/Permit-1",
    "streams/Ticket-3",
    "streams/Stock-1",
    "health",
  ])
    await p.send(`/v1/${store}/${path}`, { token });
}

async function readsWhatIsBesides(p: Prober): Promise<void> {
  for (const path of ["/health", "/openapi.json", "/", "/v1", `/v1/${OWN}`, `/v1/${OWN}/nothing`, `/v1/${p.store()}/health`])
    await p.send(path);
  await p.send(`/v1/${OWN}/feed`, { method: "PUT", body: {} });
  await p.send(`/v1/${OWN}/commits`, { method: "DELETE" });
  for (const path of ["subscriptions", "subscriptions/worker"]) await p.send(`/v1/${OWN}/${path}`, { token: p.tokens.admin });
}

/** As a web page, of the edge's own origin and of another one. */
async function asPage(p: Prober): Promise<void> {
  for (const origin of ["http://edge", "https://elsewhere.example", "null"]) {
    await p.send(`/v1/${OWN}/feed`, { method: "OPTIONS", token: null, headers: { origin, "access-control-request-method": "GET" } });
    await p.send(`/v1/${OWN}/feed?limit=1`, { headers: { origin } });
    await p.send(`/v1/${OWN}/feed?limit=1`, { headers: { origin }, token: null });
  }
}

async function opensSocket(p: Prober): Promise<void> {
  const path = p.random.pick(["feed", "feed?within=Permit", "feed?type=Noted&category=Permit", "feed?stream=Permit-1"]);
  await onSocket(p, path, p.tokens.good, [
    { pull: { after: 0, limit: 2 } },
    "ping",
    { pull: { after: 1, within: ["Permit-1", "Ticket"] } },
    { pull: { after: 1_000 } },
    { pull: { after: 0, log: OTHER_LOG } },
    { pull: { after: 1, mark: WRONG_MARK } },
    { pull: { after: 0, limit: 0 } },
    { pull: { after: -1 } },
    { pull: { after: 0, within: ["a b"] } },
    {},
    "not JSON",
    { auth: { token: p.tokens.good } },
    { auth: {} },
    { pull: { after: 2 } },
  ]);
}

async function opensSocketInPart(p: Prober): Promise<void> {
  const { part, good, none } = p.tokens;
  await onSocket(p, "feed", part, [{ pull: { after: 0 } }, { auth: { token: good } }, { pull: { after: 0 } }, { auth: { token: none } }]);
  await onSocket(p, "feed", good, [{ auth: { token: p.random.pick(["x", p.tokens.expired, p.tokens.foreign]) } }, { pull: { after: 0 } }]);
}

async function onSocket(p: Prober, path: string, token: string, messages: readonly (object | string)[]): Promise<void> {
  const headers = { upgrade: "websocket", "sec-websocket-protocol": `${FEED_PROTOCOL}, ${toBearerProtocol(token)}` };
  const { webSocket: socket } = await p.open(`/v1/${p.store()}/${path}`, { token: null, headers });
  socket?.accept();
  for (const message of messages) {
    socket?.send(typeof message === "string" ? message : JSON.stringify(message));
    await p.pause(p.random.spread(1, 5_000));
  }
  socket?.close(1000, "done");
}

async function opensWrongSockets(p: Prober): Promise<void> {
  const upgrade = { upgrade: "websocket" };
  const path = `/v1/${OWN}/feed`;
  await p.open(path, { token: null, headers: upgrade });
  await p.open(path, { token: p.tokens.none, headers: upgrade });
  await p.open(path, { headers: { ...upgrade, "sec-websocket-protocol": "chat" } });
  await p.open(`${path}?after=x`, { headers: upgrade });
  const { webSocket } = await p.open(path, { headers: upgrade });
  webSocket?.accept();
  webSocket?.close();
}

async function readsEventStream(p: Prober): Promise<void> {
  const headers = { accept: "text/event-stream", ...(p.random.chance(0.5) && { "last-event-id": "1" }) };
  const { body } = await p.open(`/v1/${p.store()}/feed?limit=2`, { headers, token: p.random.pick([p.tokens.good, p.tokens.part]) });
  const reader = body?.getReader();
  const end = p.pause(20_000).then(() => undefined);
  for (let i = 0; i < 6; i++) if ((await Promise.race([reader?.read(), end])) === undefined) break;
  await reader?.cancel();
  await p.send(`/v1/${OWN}/feed`, { headers: { ...headers, "last-event-id": "x" } });
  await p.send(`/v1/${OWN}/feed`, { headers, token: p.tokens.none });
}

async function failsAtPoison(p: Prober): Promise<void> {
  await p.append("Permit-2", { events: [p.poisonedEvent("fails")] });
  await p.push({
    commits: [
      { streamId: "Permit-2", events: [p.poisonedEvent("fails")] },
      { streamId: "Permit-1", events: [p.event()] },
    ],
  });
}
