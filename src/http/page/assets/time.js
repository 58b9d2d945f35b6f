// Times in words and in the browser's zone. The gateway writes them in UTC; `datetime` has the time itself.

// Each with how many of it there must be at least: 47 hours rather than one day.
const UNITS = [[2, 86_400, "day"], [2, 3_600, "hour"], [1, 60, "minute"], [1, 1, "second"]];

const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const clock = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };
const short = new Intl.DateTimeFormat(undefined, clock);
const long = new Intl.DateTimeFormat(undefined, { year: "numeric", ...clock });

export function tellTimes(root) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-ago], time[data-at]")) {
    const time = new Date(element.dateTime);
    const words = "ago" in element.dataset ? ago((now - time) / 1000) : date(time);
    if (element.textContent !== words) element.textContent = words;
    const title = whole.format(time);
    if (element.title !== title) element.title = title;
  }
}

function date(time) {
  return (time.getFullYear() === new Date().getFullYear() ? short : long).format(time);
}

// The words that the gateway uses as well.
function ago(seconds) {
  const distance = Math.floor(Math.abs(seconds));
  if (distance < 5) return seconds < 0 ? "in a moment" : "just now";
  const [, size, unit] = UNITS.find(([least, size]) => distance >= least * size);
  const count = Math.floor(distance / size);
  const words = `${count} ${unit}${count === 1 ? "" : "s"}`;
  return seconds < 0 ? `in ${words}` : `${words} ago`;
}
