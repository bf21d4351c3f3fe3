// Renewals: what a page does when its store has changed, when the reef is away, and when its token counts no longer.
import { createInterface } from "node:readline";
import { ask, base, go, open, report, settled } from "./page.mjs";

/** A page whose reef answers as it is told: `tag` is that of the store, `live` and `page` are statuses of what the script fetches. */
async function changing(path) {
  const opened = await open();
  const { page } = opened;
  const reef = { tag: null, live: 200, page: 200, fetched: 0 };
  await page.route(`${base}/live`, (route) => {
    if (reef.live === 0) return route.abort();
    if (reef.live !== 200) return route.fulfill({ status: reef.live, contentType: "application/json", body: "{}" });
    return reef.tag === null ? route.continue() : route.fulfill({ json: { tag: reef.tag } });
  });
  await page.route((url) => url.pathname === path.split("?")[0], async (route) => {
    if (route.request().resourceType() !== "fetch") return route.continue();
    reef.fetched += 1;
    if (reef.page !== 200) return route.fulfill({ status: reef.page, contentType: "text/html", body: "late" });
    const response = await route.fetch();
    const marked = (await response.text())
      .replace("</h1>", `</h1><p id="mark">${reef.tag}</p>`)
      .replace(/data-tag="[^"]*"/, `data-tag="${reef.tag}"`);
    return route.fulfill({ response, body: marked });
  });
  await go(page, path);
  await page.evaluate(() => { globalThis.sameDocument = true; });
  return { ...opened, reef };
}

/** Lets the script of a page look at once, and waits until the reef has answered. */
async function look(page) {
  const answered = page.waitForEvent("requestfinished", (request) => request.url() === `${base}/live`);
  const failed = page.waitForEvent("requestfailed", (request) => request.url() === `${base}/live`);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await Promise.any([answered, failed]);
  [answered, failed].forEach((one) => one.catch(() => {}));
}

const isSame = (page) => page.evaluate(() => globalThis.sameDocument === true);

/** All renewals. Requests that are refused on purpose are messages of the browser, and no faults of the page. */
export async function renewals() {
  const faults = [];
  for (const one of [newRows, keeps, picked, typed, asked, away, late, loggedOut, chartsStay]) {
    try {
      faults.push(...(await one()).map((fault) => `${one.name}: ${fault}`));
    } catch (error) {
      faults.push(`${one.name}: ${String(error.message).split("\n")[0]}`);
    }
  }
  report("renewals", faults.filter((fault) => !/Failed to load resource/.test(fault)));
}

/** New rows appear without a reload, and the page says when. */
async function newRows() {
  const { page, faults, context, reef } = await changing("/");
  reef.tag = "newer";
  await look(page);
  await page.waitForSelector("#mark");
  if (!(await isSame(page))) faults.push("the page is loaded again");
  await page.waitForFunction(() => document.getElementById("live").textContent.startsWith("Updated at"));
  const before = reef.fetched;
  await look(page);
  if (reef.fetched !== before) faults.push("a page that is the newest is fetched again");
  await context.close();
  return faults;
}

/** What is open stays open, and the focus where it is. */
async function keeps() {
  const { page, faults, context, reef } = await changing("/events?range=30d");
  const details = page.locator("tbody details").nth(1);
  await details.locator("summary").click();
  await page.locator("nav a").nth(2).focus();
  reef.tag = "newer";
  await look(page);
  await page.waitForSelector("#mark");
  if (!(await details.evaluate((one) => one.open))) faults.push("an open row is closed");
  const others = await page.locator("tbody details[open]").count();
  if (others !== 1) faults.push(`${others} rows are open`);
  await page.locator("tbody summary").nth(1).focus();
  reef.tag = "newest";
  await look(page);
  await page.waitForFunction(() => document.getElementById("mark")?.textContent === "newest");
  const focused = await page.evaluate(() => [...document.querySelectorAll("tbody summary")].indexOf(document.activeElement));
  if (focused !== 1) faults.push(`the focus is on ${focused} of the rows`);
  await context.close();
  return faults;
}

/** A choice that is not sent yet stays, also after a while. */
async function picked() {
  const { page, faults, context, reef } = await changing("/events?range=30d");
  const list = page.locator("select[name=range]");
  await list.selectOption("1h");
  await page.locator("h1").click();
  reef.tag = "newer";
  await look(page);
  await page.waitForSelector("#mark");
  if ((await list.inputValue()) !== "1h") faults.push(`the choice became ${await list.inputValue()}`);
  await context.close();
  return faults;
}

/** A question that is being written is not replaced. */
async function typed() {
  const { page, faults, context, reef } = await changing("/analyses");
  await page.locator("textarea").fill("why is production slow");
  await page.locator("h1").click();
  reef.tag = "newer";
  await look(page);
  await look(page);
  if (reef.fetched > 0 || (await page.locator("#mark").count()) > 0) faults.push("the page is renewed while a question is typed");
  if ((await page.locator("textarea").inputValue()) !== "why is production slow") faults.push("the question is lost");
  await page.locator("textarea").fill("");
  await page.locator("h1").click();
  await look(page);
  await page.waitForSelector("#mark");
  await context.close();
  return faults;
}

/** A question that is asked elsewhere appears in the list, with its outcome. */
async function asked() {
  const { page, faults, context } = await open();
  const question = "which deployments were there in the last 3 days?";
  await go(page, "/analyses");
  await page.evaluate(() => { globalThis.sameDocument = true; });
  await ask(await context.newPage(), question);
  await page.bringToFront();
  await look(page);
  const row = page.locator("tbody tr", { hasText: question });
  await row.first().waitFor();
  if ((await row.count()) !== 1) faults.push("the question is not listed once");
  if (!/template/.test(await row.first().textContent())) faults.push("its outcome is not shown");
  if (!(await isSame(page))) faults.push("the page is loaded again");
  await page.waitForFunction(() => document.getElementById("live").textContent.startsWith("Updated at"));
  await context.close();
  return faults;
}

/** A reef that is away is said to be; the page comes back by itself, with what is new. */
async function away() {
  const { page, faults, context, reef } = await changing("/");
  for (const status of [0, 503]) {
    reef.live = status;
    await look(page);
    await page.waitForSelector("#lost:not([hidden])");
    const words = await page.locator("#lost").textContent();
    if (!/has not answered since \d\d:\d\d:\d\d UTC/.test(words)) faults.push(`it says ${words}`);
    if (!(await page.locator("main h1").isVisible())) faults.push("what was known is gone");
    reef.live = 200;
    reef.tag = `back-${status}`;
    await look(page);
    await page.waitForSelector("#lost", { state: "hidden" });
    await page.waitForFunction((tag) => document.getElementById("mark")?.textContent === tag, reef.tag);
  }
  if (!(await isSame(page))) faults.push("the page is loaded again");
  await context.close();
  return faults;
}

/** A page that takes too long stays as it is, says so, and rests before it is fetched again. */
async function late() {
  const { page, faults, context, reef } = await changing("/");
  reef.tag = "newer";
  reef.page = 504;
  await look(page);
  await page.waitForFunction(() => document.getElementById("live").textContent.includes("takes long"));
  if (!(await page.locator("main h1").isVisible())) faults.push("what was known is gone");
  await look(page);
  await look(page);
  if (reef.fetched !== 1) faults.push(`it is fetched ${reef.fetched} times`);
  await context.close();
  return faults;
}

/** A token that counts no longer leads to the login by a load of the page. */
async function loggedOut() {
  const { page, faults, context, reef } = await changing("/");
  reef.live = 401;
  await look(page).catch(() => {});
  await page.waitForFunction(() => globalThis.sameDocument === undefined);
  await context.close();
  return faults;
}

/** Charts keep their part of the time and their shift, and get the newest data. */
async function chartsStay() {
  const { page, faults, context, reef } = await changing("/compare?range=24h");
  await page.locator("#tools button", { hasText: "Zoom in" }).click();
  const box = page.locator("#shift");
  const hasShift = (await box.count()) > 0;
  if (hasShift) await box.check();
  const part = await page.locator("#detail").getAttribute("href");
  let data = 0;
  page.on("request", (request) => { if (request.url().includes("/data/series")) data += 1; });
  reef.tag = "newer";
  await page.evaluate(() => { delete document.body.dataset.drawn; });
  await look(page);
  await page.waitForSelector("#mark");
  await settled(page);
  if (data !== 2) faults.push(`the data of ${data} charts is fetched`);
  const after = await page.locator("#detail").getAttribute("href");
  if (after !== part) faults.push(`the part ${part} became ${after}`);
  if (hasShift && !(await box.isChecked())) faults.push("the shift is taken back");
  if ((await page.locator("#charts canvas").count()) !== 2) faults.push("a chart is lost or drawn twice");
  await context.close();
  return faults;
}

/** Watches a page while the reef is away and comes back; each step is asked for by a line on standard input. */
export async function watch() {
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

/** Watches the events of a reef that runs: each step is the text of a row that has to appear, without a load of the page. */
export async function rows() {
  const { page, faults, context } = await open();
  await go(page, "/events?range=30d");
  console.log(JSON.stringify({ step: "watching" }));
  let isFirst = true;
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "end") break;
    const appears = (text) => document.querySelector("tbody")?.textContent.includes(text);
    await page.waitForFunction(appears, line, { timeout: 90_000 });
    // until the reef has its first row, a page may load itself again
    if (isFirst) await page.evaluate(() => { globalThis.sameDocument = true; });
    else if (!(await isSame(page))) faults.push(`the page was loaded again for ${line}`);
    isFirst = false;
    console.log(JSON.stringify({ step: line }));
  }
  report("rows", faults.filter((fault) => !fault.includes("503")));
  await context.close();
}

/** A browser whose token is revoked, and that logs in with another one. Lines on standard input are the tokens and steps. */
export async function session() {
  const { page, faults, context } = await open();
  await page.goto(`${base}/patterns?state=all`);
  const logIn = async (token) => {
    await page.locator("input[name=token]").fill(token);
    await page.locator("form button").click();
    await page.waitForURL(/\/patterns\?state=all/);
  };
  console.log(JSON.stringify({ step: "watching" }));
  for await (const line of createInterface({ input: process.stdin })) {
    const [step, token] = line.split(" ");
    if (step === "login") await logIn(token);
    if (step === "revoked") {
      await page.waitForURL(/\/login\?next=/, { timeout: 90_000 });
      if (!(await page.locator("[role=alert]").textContent()).includes("no longer valid")) faults.push("it is not said why");
    }
    if (step === "end") break;
    console.log(JSON.stringify({ step: line }));
  }
  report("session", faults.filter((fault) => !fault.includes("401")));
  await context.close();
}
