// What all modes share: the browser, pages that remember what must not happen, and the pages that a store has.
// The tools (playwright-core, axe-core) are in the folder that BROWSER_TOOLS names; CHROMIUM is the browser.
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { existsSync, readFileSync } from "node:fs";

const require = createRequire(join(process.env.BROWSER_TOOLS, "node_modules/"));
const { chromium } = require("playwright-core");
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const [mode, base, folder] = process.argv.slice(2);
const PAGES = ["/", "/patterns", "/timeline", "/compare", "/services", "/events?range=30d", "/analyses", "/health"];
/** A question, and one whose text is hostile. */
export const PLAIN = "why is production slower than staging?";
export const HOSTILE = "why is production slower than staging? \"'><script>alert(1)</script>";

/** The browser's path: CHROMIUM may be a name that the PATH knows. */
function program() {
  const name = process.env.CHROMIUM;
  const folders = name.includes("/") ? [] : (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? name;
}

export const browser = await chromium.launch({ executablePath: program(), args: ["--no-sandbox"] });

/** A page that remembers what must not happen. */
export async function open(options = {}) {
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

/** Waits until the charts of a page are drawn, if it has any. */
export const settled = (page) => page.waitForFunction(() => !document.querySelector("#charts") || document.body.dataset.drawn !== undefined);

export async function go(page, path) {
  const response = await page.goto(base + path, { waitUntil: "load" });
  await settled(page);
  return response;
}

/** Asks a question by the form; leaves the page at the answer. */
export async function ask(page, question) {
  await go(page, "/analyses");
  await page.locator("form.ask textarea").fill(question);
  await page.locator("form.ask button").click();
  await page.waitForURL(/\/analyses\/a-/);
}

/** The pages that this store has: those without a parameter, and one of each kind that needs one. */
export async function known(page, question = PLAIN) {
  const link = async (path, selector) => {
    await go(page, path);
    return page.locator(selector).first().getAttribute("href", { timeout: 5_000 }).catch(() => null);
  };
  const pattern = await link("/patterns", ".pattern a");
  const deployment = await link("/timeline?range=30d", "td a[href^='/deployment']");
  const series = await link("/compare?range=24h", "figure a[href^='/series']");
  await ask(page, question);
  const analysis = new URL(page.url()).pathname;
  return { pattern, deployment, series, analysis, pages: [...PAGES, pattern, deployment, series, analysis].filter(Boolean) };
}

export function report(name, faults) {
  console.log(JSON.stringify({ check: name, faults }));
}
