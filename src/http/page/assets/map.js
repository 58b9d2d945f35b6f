// A map that needs no other host: land outlines and a grid, in Web Mercator, on a canvas; with a server's tiles above
// the land where the configuration names one. What is on it stands in the table of places that follows it.

import { Brush } from "./mapbrush.js";
import { MapView } from "./mapview.js";
import { land, toX, toY } from "./mercator.js";

const NEAR = 18; // pixels from a place that still count as on it
const STEP = 60; // pixels that an arrow key moves
// Around a single place: as much as shows which country it is in, or where tiles tell more, which street.
const LEAST = { plain: 0.012, tiled: 0.0004 };

let outlines; // one promise for all maps
const maps = new WeakMap();

export function draw(root) {
  for (const element of root.querySelectorAll("[data-map]")) {
    if (!maps.has(element)) maps.set(element, new PlaceMap(element));
    maps.get(element).read();
  }
}

class PlaceMap {
  constructor(element) {
    this.element = element;
    this.view = new MapView();
    this.places = [];
    this.chosen = undefined;
    this.isFitted = false;
    this.build();
    this.brush = new Brush(this.canvas, element, () => this.draw());
    outlines ??= land();
    outlines.then((path) => {
      this.brush.land = path;
      this.draw();
    }, () => {});
    new ResizeObserver(() => {
      if (!this.isFitted) this.fit();
      this.draw();
    }).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.followPointers();
    this.followKeys();
  }

  build() {
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.told = document.createElement("p");
    this.told.className = "told";
    this.told.setAttribute("role", "status");
    const buttons = document.createElement("div");
    buttons.className = "zoom";
    for (const [sign, name, act] of [
      ["+", "Zoom in", () => this.zoomBy(1)],
      ["−", "Zoom out", () => this.zoomBy(-1)],
      ["◎", "Show all places", () => { this.fit(); this.draw(); }],
    ]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.setAttribute("aria-label", name);
      button.title = name;
      button.addEventListener("click", act);
      buttons.append(button);
    }
    const credit = document.createElement("p");
    credit.className = "credit";
    credit.textContent = "Land: Natural Earth";
    this.element.append(this.canvas, this.told, buttons, credit);
  }

  // The places of the table that follows.
  read() {
    const table = this.element.parentElement.querySelector("[data-places]");
    const rows = table ? [...table.querySelectorAll("[data-latitude]")] : [];
    this.places = rows.map((row) => ({
      x: toX(Number(row.dataset.longitude)),
      y: toY(Number(row.dataset.latitude)),
      latitude: Number(row.dataset.latitude),
      accuracy: Number(row.dataset.accuracy ?? 0),
      name: row.querySelector("a.name")?.firstChild?.textContent ?? row.querySelector("time")?.textContent ?? "",
      href: row.querySelector("a.name")?.href,
    }));
    const label = this.element.getAttribute("aria-label");
    this.canvas.setAttribute("aria-label", `${label}: ${this.places.length} places, listed in the table below. `
      + "Arrow keys move the map, plus and minus zoom.");
    if (!this.isFitted) this.fit();
    this.draw();
  }

  fit() {
    this.measure();
    if (this.places.length === 0 || this.view.width === 0) return;
    this.view.fit(this.places, this.element.dataset.tiles ? LEAST.tiled : LEAST.plain);
    this.isFitted = true;
  }

  zoomBy(steps, at) {
    this.view.zoomBy(steps, at);
    this.isFitted = true;
    this.draw();
  }

  moveBy(dx, dy) {
    this.view.moveBy(dx, dy);
    this.isFitted = true;
    this.draw();
  }

  followPointers() {
    const { canvas } = this;
    const fingers = new Map();
    let moved = 0;
    const at = (event) => ({ x: event.offsetX, y: event.offsetY });
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, at(event));
      moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) {
        canvas.style.cursor = this.near(at(event)) ? "pointer" : "";
        return;
      }
      const now = at(event);
      const apart = fingers.size === 2 ? spread() : 0;
      fingers.set(event.pointerId, now);
      moved += Math.hypot(now.x - before.x, now.y - before.y);
      this.moveBy((now.x - before.x) / fingers.size, (now.y - before.y) / fingers.size);
      if (apart > 0) this.zoomBy(Math.log2(spread() / apart), now);
    });
    const lift = (event) => fingers.delete(event.pointerId);
    canvas.addEventListener("pointerup", (event) => {
      lift(event);
      if (moved < 5) this.choose(this.near(at(event)));
    });
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("dblclick", (event) => this.zoomBy(1, at(event)));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(-Math.sign(event.deltaY) * 0.4, at(event));
    }, { passive: false });
  }

  followKeys() {
    const keys = {
      ArrowLeft: () => this.moveBy(STEP, 0),
      ArrowRight: () => this.moveBy(-STEP, 0),
      ArrowUp: () => this.moveBy(0, STEP),
      ArrowDown: () => this.moveBy(0, -STEP),
      "+": () => this.zoomBy(0.5),
      "=": () => this.zoomBy(0.5),
      "-": () => this.zoomBy(-0.5),
    };
    this.canvas.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  }

  near(point) {
    const far = this.places.map((place) => {
      const pixel = this.view.toPixel(place);
      return { place, off: Math.hypot(pixel.x - point.x, pixel.y - point.y) };
    });
    const nearest = far.sort((a, b) => a.off - b.off)[0];
    return nearest && nearest.off < NEAR ? nearest.place : undefined;
  }

  choose(place) {
    this.chosen = place;
    this.told.replaceChildren();
    if (place?.href) {
      const link = document.createElement("a");
      link.href = place.href;
      link.textContent = place.name;
      this.told.append(link);
    } else if (place) {
      this.told.textContent = place.name;
    }
    this.draw();
  }

  measure() {
    this.view.resize(this.element.clientWidth, this.element.clientHeight);
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.measure();
      this.brush.paint(this.view, this.places, this.chosen);
    });
  }
}
