// Drives the browser; `run` starts what it looks at.
// Usage: node look.cjs PAGE GUARDED_PAGE BROKER_PORT FOLDER_FOR_SCREENSHOTS [LOOK...]

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const axe = require("axe-core");
const { chromium } = require("playwright-core");

const [page, guarded, brokerPort, folder, ...only] = process.argv.slice(2);
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  // There is no network but this machine's own: the map must do without.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];
const HOSTILE = [
  "<script>alert(1)</script><img src=x onerror=alert(2)>",
  "\u{1F6F0}\u{FE0F} Tank \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} \u202Ereversed",
  "M".repeat(100),
];
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };
const LOOKS = {
  wide: { viewport: WIDE },
  phone: { viewport: PHONE, hasTouch: true },
  dark: { viewport: WIDE, colorScheme: "dark" },
  "phone-dark": { viewport: PHONE, hasTouch: true, colorScheme: "dark" },
};
const DEVICE = "Weather Orchard";

let browser;

// A tab that fails the test when the page complains, asks another host, or is wider than its window.
async function tab(options, allowed = () => false) {
  const context = await browser.newContext(options);
  const faults = [];
  const opened = await context.newPage();
  opened.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !allowed(message.text())) faults.push(message.text());
  });
  opened.on("pageerror", (error) => faults.push(`${error}`));
  opened.on("dialog", (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  opened.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol !== "data:" && ![page, guarded].some((known) => new URL(known).host === host)) {
      faults.push(`a request to ${host}`);
    }
  });
  const end = async () => {
    await context.close();
    assert.deepEqual(faults, []);
  };
  return { opened, end };
}

async function fits(opened, what) {
  const [width, window] = await opened.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= window, `${what} is ${width} wide in a window of ${window}`);
}

// What a screen reader, a keyboard or weak eyes would stumble over.
async function isAccessible(opened, what) {
  await opened.evaluate(axe.source);
  const { violations } = await opened.evaluate(() => window.axe.run());
  const found = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ target }) => target)}`);
  assert.deepEqual(found, [], what);
}

async function everyPage() {
  for (const [look, options] of Object.entries(LOOKS)) {
    const { opened, end } = await tab(options, (words) => words.includes("404"));
    await opened.goto(page);
    await opened.getByText("Live", { exact: true }).waitFor();
    const device = await opened.getByRole("link", { name: DEVICE }).getAttribute("href");
    for (const [name, address, ready] of [
      ["devices", "", "tbody tr"], ["device", device, ".uplot canvas"], ["map", "map", ".map canvas"],
      ["sources", "sources", ".panel"], ["gateway", "gateway", ".tiles"], ["login", "login", "form"],
      ["missing", "nothing", ".empty"],
    ]) {
      await opened.goto(new URL(address, page).href);
      await opened.locator(ready).first().waitFor();
      await fits(opened, `${name} (${look})`);
      await isAccessible(opened, `${name} (${look})`);
      await opened.screenshot({ path: `${folder}/${name}-${look}.png`, fullPage: true });
    }
    await end();
  }
}

async function liveValue() {
  const { opened, end } = await tab(LOOKS.wide);
  await opened.goto(page);
  const seen = () => opened.locator("[data-value]").allTextContents();
  const before = (await seen()).join();
  await opened.evaluate(() => { window.isTheSamePage = true; });
  await opened.locator(".news").first().waitFor({ timeout: 60_000 });
  assert.notEqual((await seen()).join(), before);
  assert.ok(await opened.evaluate(() => window.isTheSamePage), "the page was not loaded anew");
  await end();
}

async function search() {
  const { opened, end } = await tab(LOOKS.wide);
  await opened.goto(page);
  await opened.getByLabel("Search").pressSequentially("orchard");
  await opened.waitForFunction(() => document.querySelectorAll("tbody tr").length === 2);
  assert.equal(await opened.getByLabel("Search").inputValue(), "orchard");
  assert.match(opened.url(), /q=orchard/);
  await end();
}

async function downlink() {
  const { opened, end } = await tab(LOOKS.wide, (words) => words.includes("422"));
  await opened.goto(page);
  // A device that seldom listens, so that there is time to cancel.
  await opened.getByRole("link", { name: "Weather Weir" }).click();
  await opened.getByLabel("Bytes").fill("0123456789abcdef");
  await opened.getByRole("button", { name: "Push" }).click();
  const item = opened.locator("tr", { hasText: "0123456789abcdef" }).first();
  await item.getByText("queued").waitFor();
  assert.equal(await opened.getByLabel("Bytes").inputValue(), "", "what was sent does not stand in the form any more");
  await opened.locator("#downlinks").scrollIntoViewIfNeeded();
  await opened.screenshot({ path: `${folder}/downlink-wide.png` });
  await item.getByRole("button", { name: /^Cancel/ }).click();
  await item.getByText("cancelled").waitFor();

  await opened.getByLabel(/^interval/).fill("70000");
  await opened.getByLabel(/^alarm/).selectOption("yes");
  await opened.getByRole("button", { name: "Push" }).click();
  await opened.getByRole("alert").waitFor();
  assert.match(await opened.getByRole("alert").textContent(), /interval/);
  assert.equal(await opened.getByLabel(/^interval/).inputValue(), "70000", "what was wrong can be mended");

  // This one listens each time that it sends: the states move while one looks.
  await opened.goto(page);
  await opened.getByRole("link", { name: DEVICE }).click();
  await opened.getByLabel(/^interval/).fill("15");
  await opened.getByLabel(/^alarm/).selectOption("no");
  await opened.getByRole("button", { name: "Push" }).click();
  const moving = opened.locator("tr", { hasText: "000f000000000000" }).first();
  await moving.getByText("queued").waitFor();
  await moving.getByText("sent").waitFor({ timeout: 90_000 });
  await end();
}

async function syncNow() {
  const { opened, end } = await tab(LOOKS.wide);
  await opened.goto(new URL("sources", page).href);
  await opened.getByRole("button", { name: "Sync now" }).first().click();
  await opened.waitForResponse((answer) => answer.url().endsWith("/sources") && answer.request().method() === "GET");
  assert.equal(await opened.getByRole("alert").count(), 0);
  await end();
}

async function charts() {
  const { opened, end } = await tab(LOOKS.wide);
  await opened.goto(page);
  await opened.getByRole("link", { name: DEVICE }).click();
  const plot = opened.locator("figure", { hasText: "pressure" });
  await plot.locator("canvas").waitFor();
  assert.match(await plot.locator(".reading").textContent(), /^Last [\d,.]+\shPa, least .* greatest/);
  await plot.locator(".u-over").hover();
  await opened.waitForFunction((figure) => /hPa$/.test(figure.querySelector(".reading").textContent)
    && !figure.querySelector(".reading").textContent.startsWith("Last"), await plot.elementHandle());
  await opened.getByRole("link", { name: "7 days" }).click();
  await opened.locator('[data-charts$="7d"] canvas').first().waitFor();
  await end();
}

async function map() {
  const { opened, end } = await tab(LOOKS.wide);
  await opened.goto(new URL("map", page).href);
  const canvas = opened.locator(".map canvas");
  await canvas.waitFor();
  const picture = () => canvas.evaluate((element) => element.toDataURL());
  const drawn = async (before) => {
    for (let tries = 0; tries < 100; tries += 1) {
      if (await picture() !== before) return;
      await opened.waitForTimeout(20);
    }
    assert.fail("the map did not move");
  };
  await opened.waitForLoadState("networkidle", { timeout: 3000 }).catch(() => {});
  for (const act of [
    () => opened.getByRole("button", { name: "Zoom in" }).click(),
    () => canvas.press("ArrowLeft"),
    () => opened.getByRole("button", { name: "Show all places" }).click(),
  ]) {
    const before = await picture();
    await act();
    await drawn(before);
  }
  await end();
}

async function withoutScripts() {
  const { opened, end } = await tab({ ...LOOKS.wide, javaScriptEnabled: false });
  await opened.goto(page);
  await opened.getByRole("link", { name: DEVICE }).click();
  assert.ok(await opened.locator("#uplinks ~ table tbody tr").count() > 3);
  // By its element: what looks for words leaves out what stands in `noscript`.
  const words = opened.locator("noscript .empty").first();
  assert.ok(await words.isVisible());
  assert.match(await words.textContent(), /^Charts are drawn by a script/);
  await opened.getByLabel("Bytes").fill("fedcba9876543210");
  await opened.getByRole("button", { name: "Push" }).click();
  await opened.locator("tr", { hasText: "fedcba9876543210" }).first().waitFor();
  await opened.screenshot({ path: `${folder}/plain-wide.png` });
  await end();
}

async function keyboard() {
  const { opened, end } = await tab(LOOKS.wide);
  await opened.goto(page);
  await opened.keyboard.press("Tab");
  assert.equal(await opened.evaluate(() => document.activeElement.textContent), "Skip to content");
  await opened.keyboard.press("Enter");
  await opened.keyboard.press("Tab");
  assert.equal(await opened.evaluate(() => document.activeElement.name), "q");
  for (let step = 0; step < 12; step += 1) {
    await opened.keyboard.press("Tab");
    const outline = await opened.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, "none", "what has the focus shows it");
  }
  const unnamed = await opened.evaluate(() => [...document.querySelectorAll("button, input, select, a, img")]
    .filter((element) => !(element.labels?.length || element.textContent.trim() || element.hasAttribute("alt"))).length);
  assert.equal(unnamed, 0, "every control has a name");
  await end();
}

async function logIn(opened, token) {
  await opened.getByLabel("Token").fill(token);
  await opened.getByRole("button", { name: "Log in" }).click();
}

async function login() {
  const { opened, end } = await tab(LOOKS.wide);
  await opened.goto(new URL("sources", guarded).href);
  const began = performance.now();
  for (let wrong = 0; wrong < 3; wrong += 1) {
    await logIn(opened, `wrong ${wrong}`);
    await opened.getByText("This is not the token.").waitFor();
  }
  assert.ok(performance.now() - began > 600, "who tries tokens waits 100, 200, 300 ms and so on");
  await opened.screenshot({ path: `${folder}/login-wrong-wide.png` });
  await logIn(opened, "right");
  await opened.getByRole("heading", { name: "Sources" }).waitFor();
  const [cookie] = await opened.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  assert.ok(await opened.getByRole("button", { name: "Sync now" }).count() > 0);
  await opened.getByRole("button", { name: "Log out" }).click();
  await opened.getByLabel("Token").waitFor();
  await opened.goto(guarded);
  assert.match(opened.url(), /login/);

  await logIn(opened, "looker");
  await opened.getByRole("link", { name: "Sources" }).click();
  await opened.getByRole("heading", { name: "Sources" }).waitFor();
  assert.equal(await opened.getByRole("button", { name: "Sync now" }).count(), 0, "who may only look has no buttons");
  await end();
}

async function hostileNames() {
  for (const [look, options] of Object.entries({ wide: LOOKS.wide, phone: LOOKS.phone })) {
    const { opened, end } = await tab(options);
    await opened.goto(guarded);
    await logIn(opened, "right");
    const first = opened.locator("tbody tr").first();
    await first.waitFor({ timeout: 30_000 });
    const id = await first.locator("code").first().textContent();
    for (const [number, name] of HOSTILE.entries()) {
      await opened.goto(guarded);
      const rename = JSON.stringify({ device: id, name });
      const topic = "sigfox2mqtt/bridge/request/device/rename";
      execFileSync("mosquitto_pub", ["-p", brokerPort, "-t", topic, "-q", "1", "-m", rename]);
      await opened.getByText(name).waitFor({ timeout: 30_000 });
      await fits(opened, `the devices with a hostile name (${look})`);
      await opened.screenshot({ path: `${folder}/hostile-${number}-devices-${look}.png` });
      await opened.getByText(name).click();
      await opened.getByRole("heading", { name }).waitFor();
      await fits(opened, `the device with a hostile name (${look})`);
      await opened.screenshot({ path: `${folder}/hostile-${number}-device-${look}.png` });
    }
    // The configuration gives one a name of ten thousand letters.
    await opened.goto(new URL("?q=WWWWWWWW", guarded).href);
    await opened.locator("tbody a.name").first().waitFor();
    await fits(opened, `the devices with an endless name (${look})`);
    await opened.screenshot({ path: `${folder}/endless-devices-${look}.png` });
    await opened.locator("tbody a.name").first().click();
    await opened.getByRole("heading", { name: "WWWWWWWW" }).waitFor();
    await fits(opened, `the device with an endless name (${look})`);
    await opened.screenshot({ path: `${folder}/endless-device-${look}.png` });
    await end();
  }
}

// Those of README and docs/web.md, once every device has sent something.
async function pictures() {
  const wide = { viewport: { width: 1280, height: 820 } };
  const { opened, end } = await tab(wide);
  await opened.goto(page);
  await opened.waitForFunction(() => [...document.querySelectorAll("tbody tr")]
    .every((row) => row.querySelector("[data-value]")), null, { timeout: 120_000 });
  await opened.screenshot({ path: `${folder}/picture-devices.png` });
  await opened.getByRole("link", { name: DEVICE }).click();
  await opened.locator(".uplot canvas").nth(3).waitFor();
  await opened.screenshot({ path: `${folder}/picture-device.png` });
  await end();
  const phone = await tab({ ...LOOKS["phone-dark"], deviceScaleFactor: 2 });
  await phone.opened.goto(page);
  await phone.opened.getByText("Live", { exact: true }).waitFor();
  await phone.opened.screenshot({ path: `${folder}/picture-phone.png` });
  await phone.end();
}

async function main() {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  try {
    const looks = [
      everyPage, liveValue, search, downlink, syncNow, charts, map, withoutScripts, keyboard, login, hostileNames,
      pictures,
    ];
    for (const look of looks.filter(({ name }) => only.length === 0 || only.includes(name))) {
      await look();
      console.log(`ok  ${look.name}`);
    }
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
