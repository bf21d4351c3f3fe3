// Checks of each page: sound, accessible, narrow, by keyboard; ways to rows; charts; questions; without script.
import { HOSTILE, ask, axe, base, go, known, open, report, settled } from "./page.mjs";
import { renewals } from "./renewals.mjs";

export async function check() {
  const { page, faults, context } = await open();
  const { pages } = await known(page, HOSTILE);
  const problems = { axe: [], narrow: [], turned: [], keyboard: [], status: [] };
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const path of pages) {
      const response = await go(page, path);
      if (response.status() !== 200) problems.status.push(`${path}: ${response.status()}`);
      problems.turned.push(...(await page.evaluate(turned)).map((text) => `${path}: ${text}`));
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
  for (const path of ["/", "/patterns", "/compare?range=24h", "/analyses"]) {
    await go(page, path);
    const wanted = await page.evaluate(() => [...document.querySelectorAll("a[href], button:not([hidden]), select, textarea, summary, input:not([type=hidden])")].filter((one) => one.checkVisibility?.() !== false && one.getClientRects().length > 0).length);
    const reached = new Set();
    for (let press = 0; press < wanted + 40; press += 1) {
      await page.keyboard.press("Tab");
      const place = await page.evaluate(() => {
        const all = [...document.querySelectorAll("a[href], button, select, textarea, summary, input")];
        const style = getComputedStyle(document.activeElement);
        const seen = style.outlineStyle !== "none" || document.activeElement === document.body;
        return { place: all.indexOf(document.activeElement), seen, html: document.activeElement.outerHTML.slice(0, 80) };
      });
      if (place.place >= 0) reached.add(place.place);
      if (!place.seen) problems.keyboard.push(`${path}: no focus is seen: ${place.html}`);
    }
    if (reached.size < wanted) problems.keyboard.push(`${path}: ${reached.size} of ${wanted} are reached`);
  }
  problems.keyboard.push(...await picked(page));
  report("pages", problems.status);
  report("axe", problems.axe);
  report("narrow", problems.narrow);
  report("turned", [...new Set(problems.turned)]);
  report("keyboard", problems.keyboard);
  report("quiet", [...new Set(faults)]);
  await context.close();
  await clicks(pages);
  await shifted();
  await moved();
  await labelled();
  await asked();
  await renewals();
  await scriptless(pages);
}

/** An arrow key on a picker chooses and loads nothing, the button beside it sends the choice; a choice by pointer sends itself. */
async function picked(page) {
  const faults = [];
  await go(page, "/timeline?range=7d");
  const list = page.locator("select[name=range]");
  let loads = 0;
  const count = (request) => { if (request.isNavigationRequest()) loads += 1; };
  page.on("request", count);
  await list.focus();
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction(() => document.querySelector("select[name=range]").value === "30d");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.querySelector("select[name=range]").value === "1h");
  await page.waitForTimeout(300);
  if (loads > 0) faults.push(`keys on a picker load ${loads} pages`);
  await page.keyboard.press("Tab");
  const button = page.locator(".pickers button");
  if (!(await button.isVisible())) faults.push("no button sends the choice");
  await button.press("Enter");
  await page.waitForURL(/range=1h/);
  page.off("request", count);
  await list.dispatchEvent("pointerdown");
  await list.selectOption("24h");
  await page.waitForURL(/range=24h/);
  return faults;
}

/** Runs in the page: what it shows with a character that turns text. */
function turned() {
  const shown = [document.title];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) shown.push(texts.currentNode.data);
  for (const one of document.querySelectorAll("[title], [aria-label]")) shown.push(one.getAttribute("title") ?? "", one.getAttribute("aria-label") ?? "");
  return shown.filter((text) => text.includes("\u202e")).map((text) => text.slice(0, 120));
}

/** From any number of a page to its rows: three clicks. */
async function clicks(pages) {
  const { page, context } = await open();
  const faults = [];
  for (const path of pages.filter((path) => !path.startsWith("/events") && !path.startsWith("/series"))) {
    await go(page, path);
    faults.push(...await page.evaluate(farFromRows, path));
  }
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

/** Runs in the page: its numbers from which no link nearby leads to rows within three clicks. A query to copy is a way as well. */
async function farFromRows(path) {
  const documents = new Map();
  const read = async (href) => {
    if (!documents.has(href)) {
      const text = await (await fetch(href)).text();
      documents.set(href, new DOMParser().parseFromString(text, "text/html"));
    }
    return documents.get(href);
  };
  const links = (within) => [...within.querySelectorAll("a[href^='/']")].map((link) => link.getAttribute("href"));
  const hasRows = (href, document) => {
    const place = href.split("?")[0];
    if (place === "/deployment") return document.querySelector("main .lead") !== null;
    return ["/events", "/series", "/pattern"].includes(place) && document.querySelector("main tbody tr") !== null;
  };
  const failed = new Map();
  const reaches = async (href, clicks) => {
    if ((failed.get(href) ?? 0) >= clicks) return false;
    const found = await read(href);
    if (hasRows(href, found)) return true;
    if (clicks > 1) {
      for (const next of links(found.querySelector("main"))) if (await reaches(next, clicks - 1)) return true;
    }
    failed.set(href, clicks);
    return false;
  };
  const far = [];
  if (hasRows(path, document)) return far;
  for (const number of document.querySelectorAll("main data")) {
    // facts of what the page itself is about, such as how long an analysis took
    if (number.closest("main > dl.facts")) continue;
    let isNear = false;
    for (let around = number; around && around.localName !== "main" && !isNear; around = around.parentElement) {
      // what is counted is in the element itself, or beside it
      const beside = [around.previousElementSibling, around.nextElementSibling].filter(Boolean);
      const near = around.parentElement?.localName === "main" ? [around, ...beside] : [around];
      const own = around.localName === "a" ? [around.getAttribute("href")] : near.flatMap(links);
      for (const href of own) isNear ||= await reaches(href, 3);
      isNear ||= [...around.querySelectorAll(".command code")].some((code) => code.textContent.startsWith("SELECT"));
    }
    if (!isNear) far.push(`${path}: ${number.parentElement.textContent.slice(0, 80)} is more than three clicks from rows`);
  }
  return far;
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

/** Charts zoom and move by buttons and by the pointer, and the part that is shown is an address. */
async function moved() {
  const { page, faults, context } = await open();
  await go(page, "/compare?range=24h");
  const part = () => page.locator("#detail").getAttribute("href");
  const press = (name) => page.locator("#tools button", { hasText: name }).click();
  if (await page.locator("#detail").isVisible()) faults.push("all of the time is offered as a part");
  await press("Zoom in");
  if (!(await page.locator("#detail").isVisible())) faults.push("a part is not offered as a page");
  const first = await part();
  await press("Earlier");
  const earlier = await part();
  if (first === earlier) faults.push("a button moves nothing");
  const box = await page.locator(".u-over").first().boundingBox();
  const drag = async (keys) => {
    for (const key of keys) await page.keyboard.down(key);
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 60, { steps: 8 });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.mouse.up();
    for (const key of keys) await page.keyboard.up(key);
  };
  const length = (href) => { const of = new URLSearchParams(href.split("?")[1]); return Date.parse(of.get("to")) - Date.parse(of.get("from")); };
  await drag(["Shift"]);
  const later = await part();
  if (later === earlier || Math.abs(length(later) - length(earlier)) > 1000) faults.push(`a drag with Shift: ${earlier} became ${later}`);
  await drag([]);
  await page.waitForFunction((later) => document.querySelector("#detail").getAttribute("href") !== later, later);
  if (length(await part()) >= length(later)) faults.push("a drag does not zoom in");
  await page.locator("#detail").click();
  await page.waitForURL(/from=/);
  await settled(page);
  if ((await page.locator("canvas").count()) === 0) faults.push("the part in detail has no chart");
  await go(page, "/compare?range=24h");
  await press("Zoom in");
  await press("All");
  if (await page.locator("#detail").isVisible()) faults.push("all of the time is not shown again");
  const deployed = page.locator(".deployed a[href^='/deployment']");
  await go(page, "/compare?range=30d");
  if ((await deployed.count()) === 0) faults.push("no deployment is named below the charts");
  else {
    await deployed.first().click();
    await page.waitForSelector("text=What changed");
  }
  report("moves", faults);
  await context.close();
}

/** What charts say: names without what turns text, and that there are more deployments than are drawn. */
async function labelled() {
  const { page, faults, context } = await open();
  const name = "we\u202eb <img src=x onerror=alert(3)>";
  const changed = (change) => async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    change(body);
    return route.fulfill({ response, json: body });
  };
  await page.route((url) => url.pathname === "/data/series", changed((body) => { for (const one of body.series) one.service_id = name; }));
  await page.route((url) => url.pathname === "/data/deployments", changed((body) => {
    body.truncated = true;
    for (const one of body.deployments) one.service_id = name;
  }));
  await go(page, "/compare?range=30d");
  const said = await page.locator("#charts").textContent();
  if (!said.includes("we·b <img")) faults.push("the hostile name is not shown as text");
  if (!said.includes("are drawn: choose a shorter range for older ones")) faults.push("it is not said that deployments are left out");
  faults.push(...await page.evaluate(turned));
  report("labels", faults);
  await context.close();
}

/** A question leads to its answer, each piece of evidence to its rows. */
async function asked() {
  const { page, faults, context } = await open();
  await ask(page, HOSTILE);
  const title = await page.locator(".lead").textContent();
  if (title !== HOSTILE) faults.push(`the question became ${title}`);
  if ((await page.locator(".evidence").count()) === 0) faults.push("there is no evidence");
  await page.locator(".answer a[href^='#E']").first().click();
  if (!page.url().includes("#E")) faults.push("a reference in the answer leads nowhere");
  await page.locator(".evidence p a[href^='/']").first().click();
  await page.waitForURL(/\/(compare|pattern|deployment|events|series|services)/);
  await go(page, "/analyses");
  if ((await page.locator("td a[href^='/analyses/a-']").count()) === 0) faults.push("the question is not in the list");
  await page.locator("form.ask button").click();
  if (!(await page.locator("textarea:invalid").count())) faults.push("an empty question is sent");
  report("asks", faults);
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
