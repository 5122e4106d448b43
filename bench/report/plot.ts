/** Plots as data, without the library that draws them: `peers/draw.ts` does that. */

/** Dots along a logarithmic axis, each with a line from low to high. */
export interface DotsPlot {
  readonly kind: "dots";
  readonly alt: string;
  readonly axis: string;
  readonly dots: readonly {
    readonly side: string;
    readonly where: string;
    readonly value: number;
    readonly low: number;
    readonly high: number;
  }[];
}

/** Lines over sizes, on a logarithmic axis of times. */
export interface LinesPlot {
  readonly kind: "lines";
  readonly alt: string;
  readonly axis: string;
  /** In their order. */
  readonly sizes: readonly string[];
  readonly along: string;
  readonly points: readonly {
    readonly what: string;
    readonly size: string;
    readonly value: number;
    readonly low: number;
    readonly high: number;
  }[];
}

export type Plot = DotsPlot | LinesPlot;

export type Theme = "light" | "dark";

/** @returns the plot as SVG */
export type Draw = (plot: Plot, theme: Theme) => Promise<string>;
