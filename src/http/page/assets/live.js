// The live connection: the gateway says that something has happened, and the page is read again, not too often.

const PAUSE = 300; // ms from an event to reading the page; the gateway sends at most one a second
const SILENCE = 60_000; // ms after which the page is read again without an event

export function follow(refresh) {
  const sign = document.querySelector("#live");
  let due;
  let isBehind = false;

  const tell = (words, isOn) => {
    sign.hidden = false;
    sign.classList.toggle("on", isOn);
    if (sign.textContent !== words) sign.textContent = words;
  };
  const read = async () => {
    due = undefined;
    if (document.hidden) {
      isBehind = true;
      return;
    }
    try {
      await refresh();
      isBehind = false;
    } catch {
      isBehind = true;
    }
  };
  const soon = () => {
    due ??= setTimeout(read, PAUSE);
  };

  const events = new EventSource(`${document.body.dataset.root}live`);
  events.onopen = () => {
    tell("Live", true);
    if (isBehind) soon();
  };
  events.onerror = () => {
    isBehind = true;
    tell("Waiting for the gateway", false);
    // A gateway that said no is asked again by reading the page, which may lead to the login.
    if (events.readyState === EventSource.CLOSED) soon();
  };
  events.addEventListener("change", soon);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isBehind) soon();
  });
  setInterval(soon, SILENCE);
}
