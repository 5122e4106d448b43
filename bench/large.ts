/**
 * A database of many events in one browser engine: its size, and a cold opening until the first stream is read. Each side has an origin of
 * its own, so that the browser counts its bytes alone, and the browser is started again for each round.
 */
import type { BrowserSession } from "./browser/engines.ts";
import { BenchOrigin } from "./browser/server.ts";
import { type Failure, inOrderOf, messageOf } from "./measure.ts";
import type { Scale } from "./options.ts";
import { comparisonOf, type Result } from "./results.ts";

interface LargeSide {
  readonly name: string;
  readonly origin: BenchOrigin;
  readonly opened: number[];
  readonly read: number[];
  seconds: number;
  bytes: number;
}

export async function measureLarge(session: BrowserSession, { rounds, isQuick }: Scale, say: (line: string) => void): Promise<Result[]> {
  const events = isQuick ? 2_000 : 100_000;
  const failures: Failure[] = [];
  const sides: LargeSide[] = [];
  for (const name of await session.origin.call("largeSides")) {
    sides.push({ name, origin: await BenchOrigin.start(session.source), opened: [], read: [], seconds: 0, bytes: 0 });
  }
  let shown = session.origin;
  const show = async ({ origin }: LargeSide) => {
    await shown.call("go", origin.url);
    shown = origin;
  };
  const isLeft = ({ name }: LargeSide) => !failures.some((failure) => failure.name === name);
  try {
    for (const side of sides) {
      await show(side);
      try {
        const before = await session.profileBytes();
        const { milliseconds, bytes } = await side.origin.call("fill", side.name, events);
        side.seconds = milliseconds / 1000;
        side.bytes = bytes ?? (await session.profileBytes()) - before;
        say(`${side.name}: filled in ${side.seconds.toFixed(1)} s, ${side.bytes.toLocaleString("en")} bytes`);
      } catch (error) {
        failures.push({ name: side.name, why: messageOf(error) });
        say(`${side.name}: ${messageOf(error)}`);
      }
    }
    for (let round = 0; round <= rounds; round++) {
      await session.restart();
      shown = session.origin;
      for (const side of inOrderOf(round, sides).filter(isLeft)) {
        await show(side);
        try {
          const { opened, read } = await side.origin.call("opening", side.name, events);
          if (round === 0) continue;
          side.opened.push(opened);
          side.read.push(read);
        } catch (error) {
          failures.push({ name: side.name, why: messageOf(error) });
        }
      }
    }
  } finally {
    for (const { origin } of sides) await origin.close();
  }
  const left = sides.filter(isLeft);
  const size = `${events.toLocaleString("en")} events`;
  const timesOf = (choose: (side: LargeSide) => number[]) => ({
    sides: left.map((side) => ({ name: side.name, times: choose(side) })),
    failures,
  });
  return [
    comparisonOf(
      `open a database of ${size} in a browser that was just started, until the first stream is read`,
      1,
      "opening",
      timesOf(({ read }) => read),
    ),
    comparisonOf(
      "of that, until it is open",
      1,
      "opening",
      timesOf(({ opened }) => opened),
    ),
    {
      kind: "figures",
      title: `a database of ${size} on the disk`,
      columns: ["side", "MB", "bytes an event", "seconds to fill it, a hundred events at a time"],
      rows: left.map(({ name, bytes, seconds }) => [name, (bytes / 1e6).toFixed(1), Math.round(bytes / events), seconds.toFixed(1)]),
    },
  ];
}
