// Which part of the world a map shows, and where on it a place lies. Knows no element and no canvas.

const TILE = 256; // pixels that the whole world is wide at zoom 0
const LEAST_ZOOM = 0.6;
const MOST_ZOOM = 17;

export class MapView {
  constructor() {
    this.x = 0.5;
    this.y = 0.4;
    this.zoom = 1;
    this.width = 0;
    this.height = 0;
  }

  // Pixels that the whole world is wide.
  get scale() {
    return TILE * 2 ** this.zoom;
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
  }

  toPixel({ x, y }) {
    return { x: (x - this.x) * this.scale + this.width / 2, y: (y - this.y) * this.scale + this.height / 2 };
  }

  // Shows all places, and never less of the world than `least` of its width.
  fit(places, least) {
    const [xs, ys] = [places.map((place) => place.x), places.map((place) => place.y)];
    const [west, east] = [Math.min(...xs), Math.max(...xs)];
    const [north, south] = [Math.min(...ys), Math.max(...ys)];
    const wide = this.width / Math.max(east - west, least);
    const high = this.height / Math.max(south - north, least);
    [this.x, this.y] = [(west + east) / 2, (north + south) / 2];
    this.zoom = bounded(Math.log2((Math.min(wide, high) * 0.72) / TILE));
  }

  // Zooms so that what lies under a point stays there.
  zoomBy(steps, at = { x: this.width / 2, y: this.height / 2 }) {
    const before = this.scale;
    this.zoom = bounded(this.zoom + steps);
    const [dx, dy] = [at.x - this.width / 2, at.y - this.height / 2];
    this.x += dx / before - dx / this.scale;
    this.y += dy / before - dy / this.scale;
  }

  moveBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y = Math.max(0, Math.min(1, this.y - dy / this.scale));
  }
}

function bounded(zoom) {
  return Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, zoom));
}
