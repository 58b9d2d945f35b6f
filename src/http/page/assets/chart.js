// Charts of a device's numbers, drawn by uPlot (a script of its own, before this one). The gateway gives the points of
// all charts in one piece of HTML; a point is `seconds mean least greatest`.

/* global uPlot */

const HEIGHT = 190;
const AGAIN = 20_000; // ms that charts are believed although the page has changed
const GAP = 4; // so many times the usual way between points is a gap in the line

const sets = new WeakMap();

export function draw(root) {
  for (const element of root.querySelectorAll("[data-charts]")) {
    if (!sets.has(element)) sets.set(element, new ChartSet(element));
    sets.get(element).read();
  }
}

class ChartSet {
  constructor(element) {
    this.element = element;
    this.plots = [];
    this.readAt = -Infinity;
    new ResizeObserver(() => this.fit()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async read() {
    const { charts: address } = this.element.dataset;
    const isFresh = address === this.address && performance.now() - this.readAt < AGAIN;
    if (isFresh || this.isReading) return;
    this.isReading = true;
    try {
      const answer = await fetch(address, { cache: "no-store" });
      if (!answer.ok) throw new Error(`the gateway answers ${answer.status}`);
      const html = await answer.text();
      [this.address, this.readAt] = [address, performance.now()];
      if (html !== this.html) {
        this.html = html;
        this.draw();
      }
    } catch (error) {
      if (!this.html) this.element.textContent = `The charts cannot be drawn: ${error.message}.`;
    } finally {
      this.isReading = false;
    }
  }

  draw() {
    if (!this.html) return;
    for (const { plot } of this.plots) plot.destroy();
    const parsed = new DOMParser().parseFromString(this.html, "text/html");
    // What was drawn stays as high as it was, so that nothing jumps.
    this.element.style.minHeight = `${this.element.offsetHeight}px`;
    this.element.replaceChildren(...parsed.body.children);
    this.plots = [...this.element.querySelectorAll("[data-points]")].map(drawFigure);
    this.element.style.minHeight = "";
  }

  fit() {
    for (const { plot, place } of this.plots) {
      if (place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: HEIGHT });
    }
  }
}

function drawFigure(figure) {
  const { points, from, to, unit = "", precision } = figure.dataset;
  const rows = points.split(",").map((point) => point.split(" ").map(Number));
  const place = figure.querySelector(".plot");
  const reading = figure.querySelector(".reading");
  const digits = precision === undefined ? undefined : Number(precision);
  const format = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: digits ?? 0, maximumFractionDigits: digits ?? 3,
  });
  const say = (value) => `${format.format(value)}${unit ? `\u202f${unit}` : ""}`;
  const least = Math.min(...rows.map((row) => row[2]));
  const greatest = Math.max(...rows.map((row) => row[3]));
  const summary = `Last ${say(rows.at(-1)[1])}, least ${say(least)}, greatest ${say(greatest)}`;
  reading.textContent = summary;
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", `${figure.querySelector("figcaption").textContent}: ${summary}`);

  const style = getComputedStyle(figure);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour("muted"), font: `11px ${style.fontFamily}`,
    grid: { stroke: colour("line"), width: 1 }, ticks: { show: false },
  };
  const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const tell = (plot) => {
    const index = plot.cursor.idx;
    const value = index === null || index === undefined ? null : plot.data[1][index];
    reading.textContent = value === null || value === undefined
      ? summary
      : `${when.format(new Date(plot.data[0][index] * 1000))}: ${say(value)}`;
  };
  const line = { stroke: colour("accent"), width: 1.75, points: { show: rows.length < 60, size: 4 } };
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  const options = {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: true, range: [Number(from), Number(to)] }, y: { range: heights } },
    axes: [{ ...axis, size: 28, space: 64, values: times }, { ...axis, size: widths }],
    series: [{}, line, edge, edge],
    bands: [{ series: [3, 2], fill: `color-mix(in srgb, ${colour("accent")} 18%, transparent)` }],
    hooks: { setCursor: [tell] },
  };
  return { plot: new uPlot(options, columns(rows), place), place };
}

// Hours within a day or two, else days.
function times(plot, splits, axis, space, step) {
  const isWithinDays = step < 86_400;
  const parts = isWithinDays ? { hour: "2-digit", minute: "2-digit" } : { month: "short", day: "numeric" };
  const format = new Intl.DateTimeFormat(undefined, parts);
  return splits.map((second) => format.format(new Date(second * 1000)));
}

// Room above and below, also for a line that is flat.
function heights(plot, least, greatest) {
  if (least === null) return [0, 1];
  const room = (greatest - least) * 0.08 || Math.abs(greatest) * 0.05 || 1;
  return [least - room, greatest + room];
}

function widths(plot, labels) {
  const longest = Math.max(0, ...(labels ?? []).map((label) => label.length));
  return 16 + longest * 6.6;
}

// Columns as uPlot wants them; where nothing came for long, the line is broken.
function columns(rows) {
  const ways = rows.slice(1).map((row, index) => row[0] - rows[index][0]).sort((a, b) => a - b);
  const usual = ways[ways.length >> 1] ?? 0;
  const data = [[], [], [], []];
  rows.forEach((row, index) => {
    const before = rows[index - 1];
    if (before && row[0] - before[0] > usual * GAP) {
      [(row[0] + before[0]) / 2, null, null, null].forEach((value, column) => data[column].push(value));
    }
    row.forEach((value, column) => data[column].push(value));
  });
  return data;
}
