// What every page starts with: times in words, the live connection, forms and search without loading the page anew,
// charts and maps where there are any. Without it the page is whole, but stands still.

import { follow } from "./live.js";
import { morph } from "./morph.js";
import { tellTimes } from "./time.js";

// What only some pages have, with the script that draws it.
const DRAWN = [["[data-charts]", "./chart.js"], ["[data-map]", "./map.js"]];
const SEARCH_PAUSE = 250; // ms without a key before the search is sent

// Shows another version of this page: what has changed is put in its place, the rest is not touched.
function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const assets = (page) => page.querySelector('link[rel="stylesheet"]')?.getAttribute("href");
  if (assets(fresh) !== assets(document)) {
    // The gateway was updated, or wants the token again.
    location.reload();
    return;
  }
  morph(document.querySelector("main"), fresh.querySelector("main"));
  document.title = fresh.title;
  enliven();
}

function enliven() {
  tellTimes(document);
  for (const [wanted, script] of DRAWN) {
    // A script that did not come is asked for again when the page changes.
    if (document.querySelector(wanted)) import(script).then(({ draw }) => draw(document), () => {});
  }
}

async function load(address, options) {
  const answer = await fetch(address, { ...options, headers: { Accept: "text/html" }, cache: "no-store" });
  const type = answer.headers.get("Content-Type") ?? "";
  if (!type.startsWith("text/html")) throw new Error(`the gateway answers ${answer.status}`);
  return { html: await answer.text(), address: answer.url, ok: answer.ok };
}

async function refresh() {
  const asked = location.href;
  const { html } = await load(asked);
  if (asked === location.href) show(html);
}

// A form that does something: the answer is this page as it is then.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-send]")) return;
  event.preventDefault();
  const button = event.submitter;
  if (button) button.disabled = true;
  try {
    const answer = await load(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (answer.ok) form.reset();
    show(answer.html);
    document.querySelector('[role="alert"]')?.scrollIntoView({ block: "nearest" });
  } catch (error) {
    complain(form, error);
  } finally {
    if (button) button.disabled = false;
  }
});

function complain(form, error) {
  const words = document.createElement("p");
  words.className = "alert";
  words.setAttribute("role", "alert");
  words.textContent = `Not sent: ${error.message}.`;
  form.querySelector(".alert")?.remove();
  form.append(words);
}

// The search answers while one types.
let pause;
async function search(form) {
  const address = new URL(form.action);
  address.search = new URLSearchParams(new FormData(form)).toString();
  history.replaceState(null, "", address);
  await refresh();
}
document.addEventListener("input", (event) => {
  const form = event.target.closest("[data-search]");
  if (!form) return;
  clearTimeout(pause);
  pause = setTimeout(() => search(form).catch(() => form.submit()), SEARCH_PAUSE);
});

enliven();
setInterval(() => tellTimes(document), 5000);
if ("live" in document.body.dataset) follow(refresh);
