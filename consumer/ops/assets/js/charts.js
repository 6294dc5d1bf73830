// The charts, by uPlot. A chart is described to who cannot see it by the numbers in its
// caption, which are text.

import { count, millis, rate, scaleTime, short } from "./format.js";
import { byId, h, text } from "./dom.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");
const made = new Set();

/** A chart of some series of the history, below a caption with their present values. */
export class Chart {
  #plot = null;
  #box;
  #columns;
  #options;
  #seen = true;
  #span = 0;

  /** lines are {name, label, state, dash, fill, step}; options {height, scale, format}. */
  constructor(box, lines, options) {
    this.#box = box;
    this.lines = lines;
    this.#options = options;
    made.add(this);
    new ResizeObserver(() => this.#resize()).observe(box);
    new IntersectionObserver(([e]) => {
      this.#seen = e.isIntersecting;
      if (this.#seen && this.#columns) this.#paint();
    }).observe(box);
  }

  /** draw shows a history; a chart that nobody sees is drawn when it comes into sight. */
  draw(history, downstream) {
    this.#columns = history.columns(this.lines, downstream);
    this.#span = history.span();
    if (this.#options.scale === "log") this.#columns = this.#columns.map((c, i) => (i ? c.map((v) => (v ? Math.max(v, 0.01) : null)) : c));
    this.#paint();
  }

  #paint() {
    const columns = this.#columns;
    if (!this.#seen || !this.#box.clientWidth || columns[0].length === 0) return;
    this.#plot ??= this.#make();
    this.#plot.setData(columns);
  }

  redraw() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#columns) this.#paint();
  }

  remove() {
    this.#plot?.destroy();
    made.delete(this);
  }

  #resize() {
    const width = this.#box.clientWidth;
    if (this.#plot && width) this.#plot.setSize({ width, height: this.#options.height });
    else if (this.#columns) this.#paint();
  }

  #make() {
    const { height, scale, format } = this.#options;
    const axis = { stroke: css("muted"), font: "11px system-ui", grid: { stroke: css("line"), width: 1 }, ticks: { show: false } };
    return new uPlot({
      width: this.#box.clientWidth, height,
      legend: { show: false },
      cursor: { show: false },
      padding: [6, 8, 0, 0],
      scales: {
        x: { time: true, range: (u, min, max) => [max - this.#span, max] },
        y: scale === "log"
          ? { distr: 3, range: (u, min, max) => [10 ** Math.floor(Math.log10(min || 1)), 10 ** Math.ceil(Math.log10(Math.max(max || 1, (min || 1) * 10)))] }
          : { range: (u, min, max) => [0, Math.max(1, max * 1.15)] },
      },
      axes: [
        { ...axis, size: 24, gap: 6, space: 60, grid: { show: false }, values: times },
        { ...axis, size: 46, gap: 4, space: height < 100 ? 22 : 30, values: (u, v) => v.map(format), ...(scale === "log" ? { splits: tens, filter: (u, v) => v } : { incrs: wholes }) },
      ],
      series: [{}, ...this.lines.map((l) => ({
        stroke: css(l.state), width: l.dash ? 1.25 : 1.75, points: { show: false },
        dash: l.dash ? [4, 3] : undefined,
        fill: l.fill ? `${css(l.state)}26` : undefined,
        paths: l.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
      }))],
    }, this.#columns, this.#box);
  }
}

/** times writes the axis, less labels that would run into the other axis or over the edge. */
function times(u, at, axis, space, step) {
  const parts = { hour: "2-digit", minute: "2-digit", second: step < 60 ? "2-digit" : undefined, hourCycle: "h23" };
  const { min, max } = u.scales.x, edge = (max - min) * 0.06;
  return at.map((t) => (t < min + edge || t > max - edge ? "" : new Date(t * 1000).toLocaleTimeString([], parts)));
}

const wholes = [1, 2, 5, 10, 20, 50].flatMap((n) => [1, 100, 1e4, 1e6, 1e8].map((e) => n * e)).sort((a, b) => a - b);

/** tens are the powers of ten on a logarithmic axis. */
function tens(u, axis, min, max) {
  const splits = [];
  for (let v = min; v <= max * 1.01; v *= 10) splits.push(v);
  return splits;
}

dark.addEventListener("change", () => made.forEach((c) => c.redraw()));

/** key says which line is which, and what its value is. */
export function key(line, value) {
  return h("span", { class: "key", "data-state": line.state, "data-dash": line.dash }, h("span", {}, line.label), value && " ", value);
}

/** caption makes the line above a chart: what it is, and a key with the present values. */
export function caption(title, lines) {
  const values = lines.map(() => h("b", {}, "–"));
  const keys = lines.map((l, i) => key(l, values[i]));
  return { element: h("figcaption", {}, h("strong", {}, title), ...keys), values };
}

const figures = [
  {
    title: "Messages a second", format: rate, axis: short, unit: "/s", lately: 3,
    lines: [
      { name: "acked", label: "handled", state: "flowing", fill: true },
      { name: "pulled", label: "pulled", state: "muted", dash: true },
      { name: "spilled", label: "spilled", state: "shedding" },
      { name: "failed", label: "failed", state: "broken" },
    ],
  },
  {
    title: "Wait for a handler", format: millis, axis: scaleTime, unit: "", scale: "log", lately: 10,
    lines: [
      { name: "wait_p99", label: "p99", state: "waiting", sum: "most" },
      { name: "wait_p50", label: "p50", state: "waiting", dash: true },
    ],
  },
  {
    title: "Messages that wait", format: count, axis: short, unit: "", lately: 1,
    lines: [
      { name: "queued", label: "queued", state: "waiting", fill: true, sum: "most" },
      { name: "overflow", label: "in overflow", state: "shedding", sum: "last" },
    ],
  },
];

const charts = figures.map((f) => {
  const box = h("div", { class: "plot", "aria-hidden": "true" });
  const head = caption(f.title, f.lines);
  byId("charts").append(h("figure", { class: "chart" }, head.element, box));
  return { ...f, values: head.values, chart: new Chart(box, f.lines, { height: 170, scale: f.scale, format: f.axis }) };
});

/** show draws the history. */
export function show(history) {
  const minutes = Math.ceil(history.span() / 60 - 0.1);
  text(byId("charts-title"), `The last ${minutes} minutes`);
  for (const { lines, values, chart, format, unit, lately } of charts) {
    chart.draw(history);
    lines.forEach((l, i) => {
      const v = history.lately(l, lately);
      text(values[i], v == null ? "–" : format(v) + unit);
    });
  }
}
