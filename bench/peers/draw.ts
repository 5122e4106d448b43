/** Draws plots as SVG with Vega-Lite. It needs no browser. */
import * as vega from "vega";
import { type Config, compile, type TopLevelSpec } from "vega-lite";
import type { DotsPlot, Draw, LinesPlot, Plot, Theme } from "../report/plot.ts";

const COLORS: Readonly<
  Record<Theme, { readonly background: string; readonly text: string; readonly grid: string; readonly marks: string[] }>
> = {
  light: {
    background: "#ffffff",
    text: "#1f2328",
    grid: "#d1d9e0",
    marks: ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#57606a", "#9a6700"],
  },
  dark: {
    background: "#0d1117",
    text: "#e6edf3",
    grid: "#30363d",
    marks: ["#58a6ff", "#f0883e", "#3fb950", "#bc8cff", "#f778ba", "#8b949e", "#d29922"],
  },
};
const SHAPES = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross"];
const FONT = "system-ui, sans-serif";

/** The library's own estimate of a text's width, where there is no canvas, is half as wide again. Its types don't have this. */
const { textMetrics } = vega as typeof vega & {
  readonly textMetrics: { width: (item: { readonly fontSize?: number }, text: unknown) => number };
};
textMetrics.width = ({ fontSize = 12 }, text) => String(text).length * fontSize * 0.54;

export const draw: Draw = async (plot, theme) => {
  const view = new vega.View(vega.parse(compile(specOf(plot), { config: configOf(theme) }).spec), { renderer: "none" });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
};

function configOf(theme: Theme): Config {
  const { background, text, grid, marks } = COLORS[theme];
  const label = { labelColor: text, titleColor: text, labelFont: FONT, titleFont: FONT, labelFontSize: 12, titleFontSize: 12 };
  return {
    background,
    padding: 12,
    view: { stroke: "transparent" },
    axis: { ...label, titleFontWeight: "normal", gridColor: grid, domainColor: grid, tickColor: grid, labelLimit: 0 },
    legend: { ...label, titleFontWeight: "normal", labelLimit: 0, orient: "bottom", columns: 2, title: null },
    mark: { color: marks[0] ?? text },
    range: { category: marks, symbol: SHAPES },
  };
}

function specOf(plot: Plot): TopLevelSpec {
  return plot.kind === "dots" ? dotsOf(plot) : linesOf(plot);
}

function dotsOf({ axis, dots }: DotsPlot): TopLevelSpec {
  const order = (values: readonly string[]) => [...new Set(values)];
  const y = { field: "side", type: "nominal" as const, sort: order(dots.map(({ side }) => side)), title: null };
  const color = { field: "where", type: "nominal" as const, sort: order(dots.map(({ where }) => where)) };
  const scale = { type: "log" as const };
  const hasMany = color.sort.length > 1;
  const offset = { field: "where", type: "nominal" as const, sort: color.sort };
  return {
    data: { values: dots.map((dot) => ({ ...dot })) },
    width: 560,
    height: { step: hasMany ? 9 : 26, ...(hasMany ? { for: "offset" as const } : {}) },
    encoding: {
      y: {
        ...y,
        axis: {
          grid: true,
          labelFontWeight: { condition: { test: "indexof(datum.value, 'Headwater') === 0", value: "bold" }, value: "normal" },
        },
      },
      ...(hasMany ? { yOffset: offset } : {}),
      ...(hasMany ? { color } : {}),
    },
    layer: [
      {
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { x: { field: "low", type: "quantitative", scale, title: axis }, x2: { field: "high" } },
      },
      {
        mark: { type: "point", filled: true, size: 55 },
        encoding: { x: { field: "value", type: "quantitative", scale, title: axis }, ...(hasMany ? { shape: color } : {}) },
      },
    ],
  };
}

function linesOf({ axis, along, sizes, points }: LinesPlot): TopLevelSpec {
  const color = { field: "what", type: "nominal" as const, sort: [...new Set(points.map(({ what }) => what))] };
  const x = { field: "size", type: "ordinal" as const, sort: [...sizes], title: along, axis: { labelAngle: 0 } };
  const scale = { type: "log" as const };
  return {
    data: { values: points.map((point) => ({ ...point })) },
    width: 640,
    height: 320,
    encoding: { x, color },
    layer: [
      { mark: { type: "line", strokeWidth: 2 }, encoding: { y: { field: "value", type: "quantitative", scale, title: axis } } },
      {
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { y: { field: "low", type: "quantitative", scale, title: axis }, y2: { field: "high" } },
      },
      {
        mark: { type: "point", filled: true, size: 50 },
        encoding: { y: { field: "value", type: "quantitative", scale, title: axis }, shape: color },
      },
    ],
  };
}
