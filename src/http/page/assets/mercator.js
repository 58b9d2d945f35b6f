// Web Mercator: the world as a square of side 1, and the outlines of its land.

const MOST_LATITUDE = 85.05;
const EQUATOR = 40_075_016.7; // metres

export const toX = (longitude) => (longitude + 180) / 360;
export const toY = (latitude) => {
  const bounded = Math.max(-MOST_LATITUDE, Math.min(MOST_LATITUDE, latitude));
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + (bounded * Math.PI) / 360)) / (2 * Math.PI);
};
export const toLongitude = (x) => x * 360 - 180;
export const toLatitude = (y) => (360 / Math.PI) * Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) - 90;

// How many metres the side of the square is long at a latitude.
export const metres = (latitude) => EQUATOR * Math.cos((latitude * Math.PI) / 180);

// The land as a path in the square. How the file is written stands in vendor/land.mjs.
export async function land() {
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
