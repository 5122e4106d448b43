/** Where the events of a stream are in the log, as far as the log has said since the stream's object woke. */
import type { Places } from "../../shared/places.ts";
import type { Span } from "../log/log-rows.ts";

export class SpanMemory {
  /** In version order. */
  #spans: Span[] = [];

  /** @returns the first version that has another position than it had; undefined if none has */
  keep(spans: readonly Span[]): number | undefined {
    for (const [i, span] of spans.entries()) {
      const at = this.#indexOf(span.firstVersion);
      const known = this.#spans[at];
      if (known === undefined || known.lastVersion < span.firstVersion) {
        this.#spans.splice(at + 1, 0, span);
        continue;
      }
      if (positionIn(known, span.firstVersion) === span.firstPosition) {
        this.#spans[at] = { ...known, lastVersion: Math.max(known.lastVersion, span.lastVersion) };
        continue;
      }
      this.forgetFrom(span.firstVersion);
      this.keep(spans.slice(i));
      return span.firstVersion;
    }
    return undefined;
  }

  /** Forgets where this version is, and all behind it. Default: all versions. */
  forgetFrom(version = 1): void {
    this.#spans = this.#spans
      .filter((span) => span.firstVersion < version)
      .map((span) => ({ ...span, lastVersion: Math.min(span.lastVersion, version - 1) }));
  }

  /** The position of a version's event; null if the log has not said it. */
  positionOf(version: number): number | null {
    const span = this.#spans[this.#indexOf(version)];
    return span === undefined || span.lastVersion < version ? null : positionIn(span, version);
  }

  /** Whether the log has said where all of these versions are. */
  hasAll({ first, last }: Places): boolean {
    for (let version = first; version <= last; ) {
      const span = this.#spans[this.#indexOf(version)];
      if (span === undefined || span.lastVersion < version) return false;
      version = span.lastVersion + 1;
    }
    return true;
  }

  /** The last span that begins at or before this version; -1 if none does. */
  #indexOf(version: number): number {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#spans[middle]?.firstVersion ?? 0) > version) high = middle;
      else low = middle + 1;
    }
    return low - 1;
  }
}

function positionIn(span: Span, version: number): number {
  return span.firstPosition + (version - span.firstVersion);
}
