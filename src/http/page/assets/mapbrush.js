// Paints a map: sea, land, grid, a server's tiles, places with their names, a scale. Knows what is to be seen and where,
// not how one moves it.

import { metres, toLatitude, toLongitude, toX, toY } from "./mercator.js";

const DOT = 7; // pixels
const GRID = [45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
const POLE = 85; // degrees; beyond it Mercator has no more to show
const MOST_TILES = 400;

export class Brush {
  // `changed` is called when something more can be painted.
  constructor(canvas, element, changed) {
    this.canvas = canvas;
    this.element = element;
    this.changed = changed;
    this.tiles = new Map();
    this.land = undefined;
  }

  paint(view, places, chosen) {
    const { width, height } = view;
    if (width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
    }
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(this.element);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = `11px ${style.fontFamily}`;
    pen.fillStyle = colour("sea");
    pen.fillRect(0, 0, width, height);
    if (this.land) paintLand(pen, view, this.land, ratio, colour);
    paintGrid(pen, view, colour);
    if (this.element.dataset.tiles) this.paintTiles(pen, view);
    const isTrack = "track" in this.element.dataset;
    if (isTrack) paintTrack(pen, view, places, colour);
    paintPlaces(pen, view, places, chosen, isTrack, colour);
    if (!isTrack) paintNames(pen, view, places, colour);
    paintScale(pen, view, colour);
  }

  paintTiles(pen, view) {
    const level = Math.max(0, Math.min(19, Math.round(view.zoom)));
    const count = 2 ** level;
    const size = view.scale / count;
    const origin = view.toPixel({ x: 0, y: 0 });
    const firstRow = Math.max(0, Math.floor(-origin.y / size));
    for (let row = firstRow; row < count && origin.y + row * size < view.height; row += 1) {
      for (let column = Math.floor(-origin.x / size); origin.x + column * size < view.width; column += 1) {
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
      tile.addEventListener("load", this.changed);
      tile.src = address;
      this.tiles.set(address, tile);
    }
    return tile;
  }
}

function paintLand(pen, view, land, ratio, colour) {
  const { scale } = view;
  pen.save();
  pen.fillStyle = colour("land");
  pen.strokeStyle = colour("shore");
  pen.lineWidth = 1 / scale;
  // The world goes on beyond the date line.
  for (const turn of [-1, 0, 1]) {
    const origin = view.toPixel({ x: turn, y: 0 });
    pen.setTransform(scale * ratio, 0, 0, scale * ratio, origin.x * ratio, origin.y * ratio);
    pen.fill(land, "evenodd");
    pen.stroke(land);
  }
  pen.restore();
}

function paintGrid(pen, view, colour) {
  const { width, height, scale } = view;
  const step = [...GRID].reverse().find((candidate) => (candidate * scale) / 360 > 90) ?? GRID[0];
  const digits = step < 1 ? Math.ceil(-Math.log10(step)) : 0;
  const [west, east] = [-1, 1].map((side) => toLongitude(view.x + (side * width) / 2 / scale));
  const [north, south] = [-1, 1].map((side) => toLatitude(view.y + (side * height) / 2 / scale));
  pen.strokeStyle = colour("shore");
  pen.fillStyle = colour("muted");
  pen.lineWidth = 0.5;
  const line = (...points) => {
    pen.globalAlpha = 0.45;
    trace(pen, points);
    pen.stroke();
    pen.globalAlpha = 1;
  };
  const degrees = (value, names) => `${Math.abs(value).toFixed(digits)}° ${names[value < 0 ? 0 : 1]}`;
  for (let longitude = Math.ceil(west / step) * step; longitude <= east; longitude += step) {
    const { x } = view.toPixel({ x: toX(longitude), y: 0 });
    line({ x, y: 0 }, { x, y: height });
    pen.fillText(degrees(((((longitude + 180) % 360) + 360) % 360) - 180, "WE"), x + 3, height - 6);
  }
  for (let latitude = Math.ceil(south / step) * step; latitude <= north; latitude += step) {
    if (Math.abs(latitude) > POLE) continue;
    const { y } = view.toPixel({ x: 0, y: toY(latitude) });
    line({ x: 0, y }, { x: width, y });
    if (y > 60 && y < height - 45) pen.fillText(degrees(latitude, "SN"), 4, y - 3);
  }
}

function paintTrack(pen, view, places, colour) {
  trace(pen, places.map((place) => view.toPixel(place)));
  pen.strokeStyle = colour("accent");
  pen.globalAlpha = 0.55;
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  pen.stroke();
  pen.globalAlpha = 1;
}

// The newest of a track is painted last, above the others.
function paintPlaces(pen, view, places, chosen, isTrack, colour) {
  pen.fillStyle = colour("accent");
  pen.strokeStyle = colour("surface");
  pen.lineWidth = 2;
  const circle = ({ x, y }, radius) => {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fill();
  };
  for (const place of [...places].reverse()) {
    const pixel = view.toPixel(place);
    const isLarge = !isTrack || place === places[0];
    const radius = (place.accuracy / metres(place.latitude)) * view.scale;
    if (radius > DOT && (isLarge || place === chosen)) {
      pen.globalAlpha = isTrack ? 0.12 : 0.06;
      circle(pixel, radius);
      pen.globalAlpha = 1;
    }
    circle(pixel, place === chosen ? DOT + 2 : isLarge ? DOT : DOT - 3);
    pen.stroke();
  }
}

// As many names as have room.
function paintNames(pen, view, places, colour) {
  const boxes = places.map((place) => {
    const { x, y } = view.toPixel(place);
    return { left: x - DOT, right: x + DOT, top: y - DOT, bottom: y + DOT };
  });
  pen.fillStyle = colour("ink");
  pen.strokeStyle = colour("surface");
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  for (const place of places) {
    const { x, y } = view.toPixel(place);
    const left = x + DOT + 4;
    const box = { left, right: left + pen.measureText(place.name).width, top: y - 7, bottom: y + 7 };
    if (box.right > view.width || boxes.some((other) => overlap(box, other))) continue;
    boxes.push(box);
    pen.strokeText(place.name, left, y + 4);
    pen.fillText(place.name, left, y + 4);
  }
}

function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function paintScale(pen, view, colour) {
  const pixel = metres(toLatitude(view.y)) / view.scale;
  const most = pixel * 110;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].map((factor) => factor * power).find((candidate) => candidate <= most);
  const [x, y, end] = [10, view.height - 24, 10 + length / pixel];
  pen.strokeStyle = colour("ink");
  pen.fillStyle = colour("ink");
  pen.lineWidth = 1.5;
  trace(pen, [{ x, y: y - 4 }, { x, y }, { x: end, y }, { x: end, y: y - 4 }]);
  pen.stroke();
  pen.fillText(length >= 1000 ? `${length / 1000} km` : `${length} m`, x + 2, y - 7);
}

function trace(pen, points) {
  pen.beginPath();
  for (const { x, y } of points) pen.lineTo(x, y);
}
