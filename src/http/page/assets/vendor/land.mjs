// Makes land.bin from the land outlines of Natural Earth as the npm package world-atlas packs them (TopoJSON):
// simplifies each ring, and writes the number of its points and then each point as the way from the one before, in
// hundredths of a degree. A number is zigzag-coded and takes 7 bits a byte, the lowest first, all but the last with
// the eighth bit set.
// Usage: node land.mjs land-50m.json > land.bin
import { readFileSync } from "node:fs";

const TOLERANCE = 0.05; // degrees: a coast keeps its shape until one looks at a single bay
const LEAST_AREA = 0.02; // square degrees; smaller islands are left out
const SCALE = 100;

const topology = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { scale, translate } = topology.transform;

const arcs = topology.arcs.map((arc) => {
  let x = 0;
  let y = 0;
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return [x * scale[0] + translate[0], y * scale[1] + translate[1]];
  });
});

const arcOf = (index) => (index < 0 ? [...arcs[~index]].reverse() : arcs[index]);

function ringOf(indices) {
  const points = [];
  for (const index of indices) points.push(...arcOf(index).slice(points.length > 0 ? 1 : 0));
  return points;
}

function distance([x, y], [x1, y1], [x2, y2]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / length));
  return Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
}

// Douglas and Peucker's way.
function simplify(points) {
  if (points.length < 3) return points;
  const [first, last] = [points[0], points[points.length - 1]];
  let far = 0;
  let where = 0;
  for (let index = 1; index < points.length - 1; index += 1) {
    const off = distance(points[index], first, last);
    if (off > far) [far, where] = [off, index];
  }
  if (far <= TOLERANCE) return [first, last];
  return [...simplify(points.slice(0, where + 1)).slice(0, -1), ...simplify(points.slice(where))];
}

// A ring ends where it begins: it is simplified in two halves.
function simplifyRing(points) {
  const middle = points.length >> 1;
  return [...simplify(points.slice(0, middle + 1)).slice(0, -1), ...simplify(points.slice(middle))];
}

function area(points) {
  let twice = 0;
  for (let index = 1; index < points.length; index += 1) {
    const [[x1, y1], [x2, y2]] = [points[index - 1], points[index]];
    twice += x1 * y2 - x2 * y1;
  }
  return Math.abs(twice) / 2;
}

function deltas(points) {
  let x = 0;
  let y = 0;
  return points.flatMap(([longitude, latitude]) => {
    const [nextX, nextY] = [Math.round(longitude * SCALE), Math.round(latitude * SCALE)];
    const step = [nextX - x, nextY - y];
    [x, y] = [nextX, nextY];
    return step;
  });
}

const polygons = topology.objects.land.geometries.flatMap((geometry) =>
  geometry.type === "MultiPolygon" ? geometry.arcs : [geometry.arcs],
);
const rings = polygons
  .flat()
  .map(ringOf)
  .filter((ring) => area(ring) >= LEAST_AREA)
  .map(simplifyRing)
  .filter((ring) => ring.length >= 4);

const bytes = [];
function write(number) {
  let rest = number < 0 ? -2 * number - 1 : 2 * number;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}
for (const ring of rings) [ring.length, ...deltas(ring)].forEach(write);
process.stdout.write(Uint8Array.from(bytes));
