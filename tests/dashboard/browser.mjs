// Drives a real browser over the dashboard. Modes: `check URL` prints one JSON line for each check; `pictures URL FOLDER`
// writes a picture of each page; `measure URL` prints how long pages take and how large they are.
// The tools (playwright-core, axe-core) are in the folder that BROWSER_TOOLS names; CHROMIUM is the browser.
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { existsSync, readFileSync } from "node:fs";

const require = createRequire(join(process.env.BROWSER_TOOLS, "node_modules/"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [mode, base, folder] = process.argv.slice(2);
const PAGES = ["/", "/patterns", "/timeline", "/compare", "/services", "/events?range=30d", "/health"];

/** The browser's path: CHROMIUM may be a name that the PATH knows. */
function program() {
  const name = process.env.CHROMIUM;
  const folders = name.includes("/") ? [] : (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? name;
}

const browser = await chromium.launch({ executablePath: program(), args: ["--no-sandbox"] });

/** A page that remembers what must not happen. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, bypassCSP: false, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("dialog", (dialog) => { faults.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith("data:")) faults.push(`foreign: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  return { context, page, faults };
}

const settled = (page) => page.waitForFunction(() => !document.querySelector("#charts") || document.body.dataset.drawn !== undefined);

async function go(page, path) {
  const response = await page.goto(base + path, { waitUntil: "load" });
  await settled(page);
  return response;
}

/** Pages with the ids that this store has. */
async function all(page) {
  await go(page, "/patterns");
  const pattern = await page.locator(".pattern a").first().getAttribute("href").catch(() => null);
  await go(page, "/timeline?range=30d");
  const deployment = await page.locator("td a[href^='/deployment']").first().getAttribute("href").catch(() => null);
  return [...PAGES, pattern, deployment].filter(Boolean);
}

function report(name, faults) {
  console.log(JSON.stringify({ check: name, faults }));
}

async function check() {
  const { page, faults, context } = await open();
  const pages = await all(page);
  const problems = { axe: [], narrow: [], keyboard: [], status: [] };
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const path of pages) {
      const response = await go(page, path);
      if (response.status() !== 200) problems.status.push(`${path}: ${response.status()}`);
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      for (const one of found.violations.filter((one) => ["serious", "critical"].includes(one.impact))) {
        problems.axe.push(`${scheme} ${path}: ${one.id}: ${one.nodes[0].html.slice(0, 160)} ${one.nodes[0].failureSummary.slice(0, 200)}`);
      }
    }
  }
  await page.setViewportSize({ width: 320, height: 640 });
  for (const path of pages) {
    await go(page, path);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 320) {
      const widest = await page.evaluate(() => [...document.querySelectorAll("main *, header *")].filter((one) => one.getBoundingClientRect().right > 321 && !one.closest(".wide, .command, .points")).map((one) => one.outerHTML.slice(0, 90)).slice(0, 3));
      problems.narrow.push(`${path}: ${width} px: ${widest}`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  for (const path of ["/", "/patterns"]) {
    await go(page, path);
    const wanted = await page.evaluate(() => [...document.querySelectorAll("a[href], button:not([hidden]), select, summary, input:not([type=hidden])")].filter((one) => one.checkVisibility?.() !== false && one.getClientRects().length > 0).length);
    const reached = new Set();
    for (let press = 0; press < wanted + 40; press += 1) {
      await page.keyboard.press("Tab");
      const place = await page.evaluate(() => {
        const all = [...document.querySelectorAll("a[href], button, select, summary, input")];
        const style = getComputedStyle(document.activeElement);
        const seen = style.outlineStyle !== "none" || document.activeElement === document.body;
        return { place: all.indexOf(document.activeElement), seen, html: document.activeElement.outerHTML.slice(0, 80) };
      });
      if (place.place >= 0) reached.add(place.place);
      if (!place.seen) problems.keyboard.push(`${path}: no focus is seen: ${place.html}`);
    }
    if (reached.size < wanted) problems.keyboard.push(`${path}: ${reached.size} of ${wanted} are reached`);
  }
  report("pages", problems.status);
  report("axe", problems.axe);
  report("narrow", problems.narrow);
  report("keyboard", problems.keyboard);
  report("quiet", [...new Set(faults)]);
  await context.close();
  await clicks();
  await shifted();
  await scriptless(pages);
}

/** From a number on the first page to its rows in three clicks. */
async function clicks() {
  const { page, context } = await open();
  const faults = [];
  await go(page, "/");
  await page.locator(".pattern a.sentence").first().click();
  await page.waitForSelector("text=The rows behind it");
  await page.locator("td a").first().click();
  await page.waitForURL(/\/(events|series)/);
  if ((await page.locator("tbody tr").count()) === 0) faults.push("a pattern's row leads to no row");
  await go(page, "/timeline?range=30d");
  await page.locator("td a[href^='/deployment']").first().click();
  await page.waitForSelector("text=What changed");
  await page.locator("dl a[href^='/events']").first().click();
  await page.waitForURL(/\/events/);
  if ((await page.locator("tbody tr").count()) === 0) faults.push("a deployment leads to no event");
  report("clicks", faults);
  await context.close();
}

/** The switch that shifts by the found lag changes the charts; tables have the numbers of the charts. */
async function shifted() {
  const { page, faults, context } = await open();
  await go(page, "/compare?range=24h");
  const charts = await page.locator("canvas").count();
  if (charts < 2) faults.push(`${charts} charts`);
  const rows = await page.locator(".points tbody tr").count();
  if (rows === 0) faults.push("the tables beside the charts are empty");
  const box = page.locator("#shift");
  if (await box.count()) {
    const before = await page.locator(".chart").first().screenshot();
    await box.check();
    const after = await page.locator(".chart").first().screenshot();
    const other = await page.locator(".chart").last().screenshot();
    if (before.equals(after) && before.equals(other)) faults.push("the shift changes nothing");
  }
  report("shift", faults);
  await context.close();
}

/** Each page and picker works without script. */
async function scriptless(pages) {
  const { page, context } = await open({ javaScriptEnabled: false });
  const faults = [];
  for (const path of pages) {
    await page.goto(base + path);
    if (!(await page.locator("main h1").isVisible())) faults.push(path);
  }
  await page.goto(`${base}/timeline`);
  await page.locator("select[name=range]").selectOption("30d");
  await page.locator(".pickers button").click();
  if (!page.url().includes("range=30d")) faults.push(`the picker leads to ${page.url()}`);
  report("scriptless", faults);
  await context.close();
}

/** Watches a page while the reef is away and comes back; each step is asked for by a line on standard input. */
async function watch() {
  const { page, faults, context } = await open();
  await go(page, "/");
  console.log(JSON.stringify({ step: "watching" }));
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "gone") await page.waitForSelector("#lost:not([hidden])", { timeout: 90_000 });
    if (line === "back") {
      await page.waitForSelector("#lost", { state: "hidden", timeout: 90_000 });
      await page.waitForFunction(() => document.querySelectorAll(".pattern").length > 0, null, { timeout: 90_000 });
    }
    if (line === "end") break;
    console.log(JSON.stringify({ step: line }));
  }
  // a connection that is refused is a message of the browser, not a fault of the page
  report("restart", faults.filter((fault) => !fault.includes("ERR_CONNECTION") && !fault.includes("503")));
  await context.close();
}

async function pictures() {
  const { page, context } = await open({ viewport: { width: 1200, height: 760 } });
  const [, , , , , , , pattern, deployment] = await all(page);
  const shots = [
    ["overview", "/", "light"], ["overview-dark", "/", "dark"], ["patterns", "/patterns", "light"],
    ["pattern", pattern, "light"], ["timeline", "/timeline?range=7d&order=effect", "light"],
    ["deployment", deployment, "light"], ["compare", "/compare?range=24h", "light"], ["compare-dark", "/compare?range=24h", "dark"],
    ["services", "/services", "light"], ["reef", "/health", "light"],
  ];
  for (const [name, path, scheme] of shots.filter(([, path]) => path)) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await go(page, path);
    await page.waitForTimeout(300);
    await page.screenshot({ path: join(folder, `${name}.png`) });
  }
  await page.setViewportSize({ width: 375, height: 700 });
  await page.emulateMedia({ colorScheme: "light" });
  await go(page, "/");
  await page.screenshot({ path: join(folder, "narrow.png") });
  await context.close();
}

async function measure() {
  const { page, context } = await open();
  const pages = await all(page);
  console.log("| page | HTML, bytes | data, bytes | first paint, ms | settled, ms |\n|---|---|---|---|---|");
  for (const path of pages) {
    const times = [];
    let [html, data] = [0, 0];
    for (let round = 0; round < 3; round += 1) {
      [html, data] = [0, 0];
      const count = async (response) => {
        const size = (await response.body().catch(() => Buffer.alloc(0))).length;
        if (response.url().includes("/data/")) data += size;
        else if (response.request().resourceType() === "document") html += size;
      };
      page.on("response", count);
      const began = performance.now();
      await go(page, path);
      const ended = performance.now() - began;
      await page.waitForTimeout(100);
      page.off("response", count);
      const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0);
      times.push([paint, ended]);
    }
    const middle = (place) => Math.round(times.map((one) => one[place]).sort((a, b) => a - b)[1]);
    console.log(`| \`${path.split("?")[0]}\` | ${html} | ${data} | ${middle(0)} | ${middle(1)} |`);
  }
  await context.close();
}

await { check, pictures, measure, watch }[mode]();
await browser.close();
