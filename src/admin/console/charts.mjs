// Charts over time, drawn as SVG.
import { fill, h, say, svg } from "./dom.mjs";
import { minute } from "./format.mjs";

const WIDTH = 600, HEIGHT = 120;

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {string} tone a class: tone-1, tone-2 …
 * @property {(number | null)[]} values
 */

/**
 * A number above all values that reads well on an axis.
 * @param {number} most
 */
export function ceiling(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 2.5, 5, 10].find((step) => step * power >= most) ?? 10) * power;
}

/**
 * @param {(number | null)[]} values
 * @param {number} top
 * @param {number} height
 * @returns {{ line: string, area: string }}
 */
function outline(values, top, height) {
  let line = "", area = "", /** @type {number | null} */ from = null, last = 0;
  const step = WIDTH / Math.max(1, values.length - 1);
  const end = () => { if (from !== null) area += `L${last} ${height}L${from} ${height}Z`; from = null; };
  values.forEach((value, index) => {
    if (value === null) { end(); return; }
    const x = Math.round(index * step * 10) / 10;
    const y = Math.round((height - 2 - (value / top) * (height - 6)) * 10) / 10;
    const command = from === null ? "M" : "L";
    line += `${command}${x} ${y}`;
    area += `${command}${x} ${y}`;
    from ??= x;
    last = x;
  });
  // One value by itself is a short line.
  if (values.filter((value) => value !== null).length === 1 && from !== null) line += `L${from + 2} ${line.split(" ")[1]}`;
  end();
  return { line, area };
}

/**
 * A small one without an axis.
 * @param {(number | null)[]} values
 * @param {string} tone
 */
export function sparkline(values, tone) {
  const { line, area } = outline(values, ceiling(Math.max(0, ...values.map((value) => value ?? 0))), 36);
  return svg("svg", { viewBox: `0 0 ${WIDTH} 36`, preserveAspectRatio: "none", class: `spark ${tone}`, "aria-hidden": "true" },
    svg("path", { d: area, class: "area" }), svg("path", { d: line, class: "line" }));
}

/** A chart with an axis, and numbers of the moment that is pointed to. */
export class Chart {
  /** @type {Series[]} */ series = [];
  /** @type {number[]} */ at = [];

  /**
   * @param {string} title
   * @param {(value: number) => string} shown
   */
  constructor(title, shown) {
    this.title = title;
    this.shown = shown;
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "chart-svg", "aria-label": `${title} over the last hour` });
    this.top = h("span", { class: "axis axis-top" });
    this.times = h("div", { class: "axis-times", "aria-hidden": "true" });
    this.legend = h("div", { class: "legend" });
    this.line = h("div", { class: "crosshair" });
    this.line.hidden = true;
    const plot = h("div", {
      class: "plot", onpointermove: (/** @type {PointerEvent} */ event) => this.point(event),
      onpointerleave: () => { this.line.hidden = true; this.captions(this.at.length - 1); },
    }, this.drawing, this.top, this.line);
    this.plot = plot;
    this.element = h("section", { class: "card chart" },
      h("header", {}, h("h3", {}, title), this.legend), plot, this.times);
  }

  /** @param {number[]} at seconds since 1970 @param {Series[]} series */
  set(at, series) {
    this.at = at;
    this.series = series;
    const top = ceiling(Math.max(0, ...series.flatMap((one) => one.values.map((value) => value ?? 0))));
    const lines = [0.25, 0.5, 0.75].map((part) =>
      svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part, class: "grid" }));
    const drawn = series.map((one) => {
      const { line, area } = outline(one.values, top, HEIGHT);
      return svg("g", { class: one.tone }, svg("path", { d: area, class: "area" }), svg("path", { d: line, class: "line" }));
    });
    fill(this.drawing, ...lines, ...drawn);
    say(this.top, this.shown(top));
    const ends = [at[0], at[Math.floor(at.length / 2)], at[at.length - 1]];
    fill(this.times, ...ends.map((time) => h("span", {}, time === undefined ? "" : minute(time))));
    const summary = series.map((one) => {
      const numbers = one.values.filter((value) => value !== null);
      const now = numbers.at(-1);
      return now === undefined ? `${one.name}: nothing yet` : `${one.name}: now ${this.shown(now)}, at most ${this.shown(Math.max(...numbers))}`;
    });
    this.drawing.setAttribute("aria-label", `${this.title} over the last hour. ${summary.join("; ")}.`);
    if (this.line.hidden) this.captions(at.length - 1);
  }

  /** @param {number} index */
  captions(index) {
    fill(this.legend, ...this.series.map((one) => {
      const value = one.values[index];
      return h("span", { class: `key ${one.tone}` }, h("i", {}), one.name, " ",
        h("b", {}, value === null || value === undefined ? "–" : this.shown(value)));
    }));
  }

  /** @param {PointerEvent} event */
  point(event) {
    const box = this.plot.getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const index = Math.round(part * (this.at.length - 1));
    const time = this.at[index];
    if (time === undefined) return;
    this.line.hidden = false;
    this.line.style.left = `${(index / Math.max(1, this.at.length - 1)) * 100}%`;
    this.line.dataset.time = minute(time);
    this.captions(index);
  }
}
