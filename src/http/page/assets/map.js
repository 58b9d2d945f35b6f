// A map that needs no other host: land outlines and a grid, in Web Mercator, on a canvas; with a server's tiles above
// the land where the configuration names one. What is on it stands in the table of places that follows it.

const MOST_LATITUDE = 85.05;
const LEAST_ZOOM = 0.6;
const MOST_ZOOM = 17;
const TILE = 256;
const DOT = 7;
const EARTH = 40_075_016.7; // metres around the equator
const GRID = [45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
const MOST_TILES = 400;

// The world is a square of side 1.
const toX = (longitude) => (longitude + 180) / 360;
const toY = (latitude) => {
  const bounded = Math.max(-MOST_LATITUDE, Math.min(MOST_LATITUDE, latitude));
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + (bounded * Math.PI) / 360)) / (2 * Math.PI);
};
const toLongitude = (x) => x * 360 - 180;
const toLatitude = (y) => (360 / Math.PI) * Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) - 90;

let outlines; // one promise for all maps

// How it is written stands in vendor/land.mjs.
async function land() {
  const answer = await fetch(new URL("land.bin", import.meta.url));
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const path = new Path2D();
  let at = 0;
  const next = () => {
    let [number, unit] = [0, 1];
    while (bytes[at] >= 128) {
      number += (bytes[at] - 128) * unit;
      unit *= 128;
      at += 1;
    }
    number += bytes[at] * unit;
    at += 1;
    return number % 2 === 1 ? -(number + 1) / 2 : number / 2;
  };
  while (at < bytes.length) {
    const count = next();
    let [x, y] = [0, 0];
    for (let index = 0; index < count; index += 1) {
      x += next();
      y += next();
      path[index === 0 ? "moveTo" : "lineTo"](toX(x / 100), toY(y / 100));
    }
    path.closePath();
  }
  return path;
}

const maps = new WeakMap();

export function drawMaps(root) {
  for (const element of root.querySelectorAll("[data-map]")) {
    if (!maps.has(element)) maps.set(element, new Chart(element));
    maps.get(element).read();
  }
}

class Chart {
  constructor(element) {
    this.element = element;
    this.tiles = new Map();
    this.places = [];
    this.chosen = undefined;
    this.isFitted = false;
    this.view = { x: 0.5, y: 0.4, zoom: 1 };
    this.build();
    outlines ??= land();
    outlines.then((path) => {
      this.land = path;
      this.draw();
    }, () => {});
    new ResizeObserver(() => {
      if (!this.isFitted) this.fit();
      this.draw();
    }).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.listen();
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
    const { clientWidth: width, clientHeight: height } = this.element;
    if (this.places.length === 0 || width === 0) return;
    const [xs, ys] = [this.places.map((place) => place.x), this.places.map((place) => place.y)];
    const [west, east] = [Math.min(...xs), Math.max(...xs)];
    const [north, south] = [Math.min(...ys), Math.max(...ys)];
    // Around a single place as much as shows which country it is in.
    const least = this.element.dataset.tiles ? 0.0004 : 0.012;
    const scale = Math.min(width / Math.max(east - west, least), height / Math.max(south - north, least)) * 0.72;
    this.view = { x: (west + east) / 2, y: (north + south) / 2, zoom: this.bounded(Math.log2(scale / TILE)) };
    this.isFitted = true;
  }

  bounded(zoom) {
    return Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, zoom));
  }

  get scale() {
    return TILE * 2 ** this.view.zoom;
  }

  // Zooms so that what lies under a point of the element stays there.
  zoomBy(steps, at = { x: this.element.clientWidth / 2, y: this.element.clientHeight / 2 }) {
    const before = this.scale;
    this.view.zoom = this.bounded(this.view.zoom + steps);
    const [dx, dy] = [at.x - this.element.clientWidth / 2, at.y - this.element.clientHeight / 2];
    this.view.x += dx / before - dx / this.scale;
    this.view.y += dy / before - dy / this.scale;
    this.isFitted = true;
    this.draw();
  }

  moveBy(dx, dy) {
    this.view.x -= dx / this.scale;
    this.view.y = Math.max(0, Math.min(1, this.view.y - dy / this.scale));
    this.isFitted = true;
    this.draw();
  }

  listen() {
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
    const keys = {
      ArrowLeft: () => this.moveBy(60, 0),
      ArrowRight: () => this.moveBy(-60, 0),
      ArrowUp: () => this.moveBy(0, 60),
      ArrowDown: () => this.moveBy(0, -60),
      "+": () => this.zoomBy(0.5),
      "=": () => this.zoomBy(0.5),
      "-": () => this.zoomBy(-0.5),
    };
    canvas.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  }

  toPixel({ x, y }) {
    return {
      x: (x - this.view.x) * this.scale + this.element.clientWidth / 2,
      y: (y - this.view.y) * this.scale + this.element.clientHeight / 2,
    };
  }

  near(point) {
    const far = this.places.map((place) => {
      const pixel = this.toPixel(place);
      return { place, off: Math.hypot(pixel.x - point.x, pixel.y - point.y) };
    });
    const nearest = far.sort((a, b) => a.off - b.off)[0];
    return nearest && nearest.off < 18 ? nearest.place : undefined;
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

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.paint();
    });
  }

  paint() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(this.element);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colour("sea");
    pen.fillRect(0, 0, width, height);
    this.paintLand(pen, ratio, colour);
    this.paintGrid(pen, width, height, colour);
    if (this.element.dataset.tiles) this.paintTiles(pen, width, height);
    this.paintPlaces(pen, colour);
    this.paintScale(pen, height, colour);
  }

  paintLand(pen, ratio, colour) {
    if (!this.land) return;
    const { scale } = this;
    // The world goes on beyond the date line.
    for (const turn of [-1, 0, 1]) {
      const origin = this.toPixel({ x: turn, y: 0 });
      pen.setTransform(scale * ratio, 0, 0, scale * ratio, origin.x * ratio, origin.y * ratio);
      pen.fillStyle = colour("land");
      pen.fill(this.land, "evenodd");
      pen.lineWidth = 1 / scale;
      pen.strokeStyle = colour("shore");
      pen.stroke(this.land);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  paintGrid(pen, width, height, colour) {
    const degree = this.scale / 360;
    const step = [...GRID].reverse().find((candidate) => candidate * degree > 90) ?? GRID[0];
    const [west, east] = [-1, 1].map((side) => toLongitude(this.view.x + (side * width) / 2 / this.scale));
    const [north, south] = [-1, 1].map((side) => toLatitude(this.view.y + (side * height) / 2 / this.scale));
    const digits = step < 1 ? Math.ceil(-Math.log10(step)) : 0;
    pen.strokeStyle = colour("shore");
    pen.fillStyle = colour("muted");
    pen.globalAlpha = 0.45;
    pen.lineWidth = 0.5;
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const label = (words, x, y) => {
      pen.globalAlpha = 0.9;
      pen.fillText(words, x, y);
      pen.globalAlpha = 0.45;
    };
    const line = (x1, y1, x2, y2) => {
      pen.beginPath();
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
      pen.stroke();
    };
    for (let longitude = Math.ceil(west / step) * step; longitude <= east; longitude += step) {
      const { x } = this.toPixel({ x: toX(longitude), y: 0 });
      line(x, 0, x, height);
      const turned = ((((longitude + 180) % 360) + 360) % 360) - 180;
      label(`${Math.abs(turned).toFixed(digits)}°${turned < 0 ? " W" : " E"}`, x + 3, height - 6);
    }
    for (let latitude = Math.ceil(south / step) * step; latitude <= north; latitude += step) {
      if (Math.abs(latitude) > MOST_LATITUDE) continue;
      const { y } = this.toPixel({ x: 0, y: toY(latitude) });
      line(0, y, width, y);
      if (y > 60 && y < height - 45) label(`${Math.abs(latitude).toFixed(digits)}°${latitude < 0 ? " S" : " N"}`, 4, y - 3);
    }
    pen.globalAlpha = 1;
  }

  paintTiles(pen, width, height) {
    const level = Math.max(0, Math.min(19, Math.round(this.view.zoom)));
    const count = 2 ** level;
    const size = this.scale / count;
    const origin = this.toPixel({ x: 0, y: 0 });
    for (let row = Math.max(0, Math.floor(-origin.y / size)); row < count && origin.y + row * size < height; row += 1) {
      for (let column = Math.floor(-origin.x / size); origin.x + column * size < width; column += 1) {
        const tile = this.tile(level, ((column % count) + count) % count, row);
        if (tile.complete && tile.naturalWidth > 0) {
          pen.drawImage(tile, origin.x + column * size, origin.y + row * size, size + 0.5, size + 0.5);
        }
      }
    }
  }

  tile(z, x, y) {
    const address = this.element.dataset.tiles.replace("{z}", z).replace("{x}", x).replace("{y}", y);
    let tile = this.tiles.get(address);
    if (!tile) {
      if (this.tiles.size >= MOST_TILES) this.tiles.clear();
      tile = new Image();
      tile.referrerPolicy = "origin";
      tile.addEventListener("load", () => this.draw());
      tile.src = address;
      this.tiles.set(address, tile);
    }
    return tile;
  }

  paintPlaces(pen, colour) {
    const [accent, surface] = [colour("accent"), colour("surface")];
    const isTrack = "track" in this.element.dataset;
    if (isTrack && this.places.length > 1) {
      pen.beginPath();
      for (const place of this.places) {
        const { x, y } = this.toPixel(place);
        pen.lineTo(x, y);
      }
      pen.strokeStyle = accent;
      pen.globalAlpha = 0.55;
      pen.lineWidth = 2;
      pen.lineJoin = "round";
      pen.stroke();
      pen.globalAlpha = 1;
    }
    // The newest of a track last, above the others.
    [...this.places].reverse().forEach((place, index, all) => {
      const { x, y } = this.toPixel(place);
      const isNewest = !isTrack || index === all.length - 1;
      if (place.accuracy > 0 && (isNewest || place === this.chosen)) {
        const radius = (place.accuracy / (EARTH * Math.cos((place.latitude * Math.PI) / 180))) * this.scale;
        if (radius > DOT) {
          pen.beginPath();
          pen.arc(x, y, radius, 0, 2 * Math.PI);
          pen.fillStyle = accent;
          pen.globalAlpha = isTrack ? 0.12 : 0.06;
          pen.fill();
          pen.globalAlpha = 1;
        }
      }
      pen.beginPath();
      pen.arc(x, y, place === this.chosen ? DOT + 2 : isNewest ? DOT : DOT - 3, 0, 2 * Math.PI);
      pen.fillStyle = accent;
      pen.fill();
      pen.lineWidth = 2;
      pen.strokeStyle = surface;
      pen.stroke();
    });
  }

  paintScale(pen, height, colour) {
    const metres = (EARTH * Math.cos((toLatitude(this.view.y) * Math.PI) / 180)) / this.scale;
    const most = metres * 110;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((factor) => factor * power).find((candidate) => candidate <= most);
    const words = length >= 1000 ? `${length / 1000} km` : `${length} m`;
    const [x, y, end] = [10, height - 24, 10 + length / metres];
    pen.strokeStyle = colour("ink");
    pen.fillStyle = colour("ink");
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(x, y - 4);
    pen.lineTo(x, y);
    pen.lineTo(end, y);
    pen.lineTo(end, y - 4);
    pen.stroke();
    pen.fillText(words, x + 2, y - 7);
  }
}
