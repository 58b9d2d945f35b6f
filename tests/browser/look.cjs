// Drives the browser; `run` starts what it looks at.
// Usage: node look.cjs PAGE GUARDED_PAGE BROKER_PORT FOLDER_FOR_SCREENSHOTS

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { chromium } = require("playwright-core");

const [page, guarded, brokerPort, folder] = process.argv.slice(2);
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>";
const LOOKS = {
  wide: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 360, height: 740 }, hasTouch: true },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
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

async function everyPage() {
  for (const [look, options] of Object.entries(LOOKS)) {
    const { opened, end } = await tab(options);
    await opened.goto(page);
    await opened.getByText("Live", { exact: true }).waitFor();
    const device = await opened.getByRole("link", { name: DEVICE }).getAttribute("href");
    for (const [name, address, ready] of [
      ["devices", "", "tbody tr"], ["device", device, ".uplot canvas"], ["map", "map", ".map canvas"],
      ["sources", "sources", ".panel"], ["gateway", "gateway", ".tiles"],
    ]) {
      await opened.goto(new URL(address, page).href);
      await opened.locator(ready).first().waitFor();
      await fits(opened, `${name} (${look})`);
      await opened.screenshot({ path: `${folder}/${name}-${look}.png` });
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
  assert.ok(await opened.getByText("Charts are drawn by a script").isVisible());
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
  const unnamed = await opened.evaluate(() => [...document.querySelectorAll("button, input, select, a, img")]
    .filter((element) => !(element.labels?.length || element.textContent.trim() || element.hasAttribute("alt"))).length);
  assert.equal(unnamed, 0, "every control has a name");
  await end();
}

async function login() {
  const { opened, end } = await tab(LOOKS.wide);
  await opened.goto(new URL("sources", guarded).href);
  await opened.getByLabel("Token").fill("wrong");
  await opened.getByRole("button", { name: "Log in" }).click();
  await opened.getByText("This is not the token.").waitFor();
  await opened.screenshot({ path: `${folder}/login-wide.png` });
  await opened.getByLabel("Token").fill("right");
  await opened.getByRole("button", { name: "Log in" }).click();
  await opened.getByRole("heading", { name: "Sources" }).waitFor();

  await opened.goto(guarded);
  const first = opened.locator("tbody tr").first();
  await first.waitFor({ timeout: 30_000 });
  const id = await first.locator("code").first().textContent();
  const rename = JSON.stringify({ device: id, name: HOSTILE });
  execFileSync("mosquitto_pub", ["-p", brokerPort, "-t", "sigfox2mqtt/bridge/request/device/rename", "-q", "1", "-m", rename]);
  await opened.getByText(HOSTILE).waitFor({ timeout: 30_000 });
  await opened.screenshot({ path: `${folder}/hostile-wide.png` });
  await opened.getByText(HOSTILE).click();
  await opened.getByRole("heading", { name: HOSTILE }).waitFor();

  await opened.getByRole("button", { name: "Log out" }).click();
  await opened.getByLabel("Token").waitFor();
  await opened.goto(guarded);
  assert.match(opened.url(), /login/);
  await end();
}

async function main() {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  try {
    for (const look of [
      everyPage, liveValue, search, downlink, syncNow, charts, map, withoutScripts, keyboard, login,
    ]) {
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
