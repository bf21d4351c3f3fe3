// Measures what pages cost: bytes, requests, first paint, and how smoothly a chart of very many points moves.
// FOLDER has `wide.ndjson`, the points of the widest series, and may have `short`: then only some pages are measured, once.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { base, browser, folder, go, known, open, settled } from "./page.mjs";

/** Loads of each page. */
const ROUNDS = existsSync(join(folder ?? "", "short")) ? 1 : 3;
/** Frames of a drag that are measured. */
const FRAMES = 180;

/** The value in the middle, or at another share of the order. */
function quantile(values, share = 0.5) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** One load of a page by a browser that knows nothing of the reef. */
async function load(path) {
  const { page, context } = await open();
  const bytes = { document: 0, data: 0, assets: 0, sent: 0 };
  const finished = [];
  let isCompressed = false;
  page.on("requestfinished", (request) => finished.push(request));
  const began = performance.now();
  await go(page, path);
  const settledAfter = performance.now() - began;
  for (const request of finished) {
    const response = await request.response();
    const size = (await response.body().catch(() => Buffer.alloc(0))).length;
    const kind = request.resourceType() === "document" ? "document" : request.url().includes("/data/") ? "data" : "assets";
    bytes[kind] += size;
    bytes.sent += (await request.sizes()).responseBodySize;
    isCompressed ||= response.headers()["content-encoding"] !== undefined;
  }
  // the paint is recorded after the frame
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  await context.close();
  return { paint, settled: settledAfter, requests: finished.length, bytes, isCompressed };
}

async function measured(path) {
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await load(path));
  const last = rounds[rounds.length - 1];
  const middle = (name) => Math.round(quantile(rounds.map((one) => one[name])));
  return {
    path, paint_ms: middle("paint"), settled_ms: middle("settled"), requests: last.requests, html_bytes: last.bytes.document,
    json_bytes: last.bytes.data, asset_bytes: last.bytes.assets, sent_bytes: last.bytes.sent, compressed: last.isCompressed,
  };
}

/** The exact extremes of each step, and which of them the answer of a chart has. */
function extremes(answer, points) {
  const [series] = answer.series;
  const step = answer.step_seconds * 1000;
  const exact = new Map();
  const begin = Date.parse(answer.start_time);
  const end = Date.parse(answer.end_time);
  let inside = 0;
  for (const { timestamp, p95 } of points) {
    if (timestamp < begin || timestamp >= end) continue;
    inside += 1;
    const at = Math.floor(timestamp / step) * step;
    const [low, high] = exact.get(at) ?? [Infinity, -Infinity];
    exact.set(at, [Math.min(low, p95), Math.max(high, p95)]);
  }
  const served = new Map(series.points.map((point) => [Date.parse(point.timestamp), point]));
  let kept = 0;
  for (const [at, [low, high]] of exact) {
    const point = served.get(at);
    if (point && point.low === low && point.high === high) kept += 1;
  }
  return { stored_points: inside, served_points: series.points.length, steps: exact.size, steps_with_exact_extremes: kept };
}

/** Times between frames while a chart that is zoomed in is dragged. */
async function dragged(path) {
  const { page, context } = await open();
  await go(page, path);
  for (let press = 0; press < 2; press += 1) await page.locator("#tools button", { hasText: "Zoom in" }).click();
  const box = await page.locator(".u-over").first().boundingBox();
  const before = await page.locator("#detail").getAttribute("href");
  await page.keyboard.down("Shift");
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  const frames = page.evaluate((count) => new Promise((done) => {
    const times = [];
    const frame = (now) => {
      times.push(now);
      if (times.length > count) done(times.slice(1).map((time, place) => time - times[place]));
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }), FRAMES);
  let isDone = false;
  frames.then(() => { isDone = true; });
  for (let move = 0; !isDone; move += 1) {
    await page.mouse.move(box.x + box.width / 2 + 150 * Math.sin(move / 15), box.y + box.height / 2);
  }
  const deltas = await frames;
  await page.mouse.up();
  await page.keyboard.up("Shift");
  const after = await page.locator("#detail").getAttribute("href");
  await context.close();
  return { frames: deltas.length, moved: before !== after, p50_ms: quantile(deltas), p95_ms: quantile(deltas, 0.95), max_ms: Math.max(...deltas) };
}

export async function measure() {
  const { page, context } = await open();
  const { pages } = await known(page);
  const points = readFileSync(join(folder, "wide.ndjson"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const [from, to] = [points[0].timestamp, points[points.length - 1].timestamp + 1].map((time) => new Date(time).toISOString());
  const wide = `/series?colony=wide-production&metric=flow&from=${from}&to=${to}`;
  await go(page, wide);
  await settled(page);
  const data = await page.locator("#charts figure").first().getAttribute("data-series");
  const text = await (await page.request.get(base + data)).text();
  await context.close();
  const all = ROUNDS === 1 ? [pages[0], "/compare?range=7d"] : pages.map((path) => (path === "/compare" ? "/compare?range=7d" : path));
  const rows = [];
  for (const path of [...all, wide]) rows.push(await measured(path));
  const series = { path: wide, json_bytes: text.length, ...extremes(JSON.parse(text), points), drag: await dragged(wide) };
  console.log(JSON.stringify({ measured: { browser: browser.version(), rounds: ROUNDS, pages: rows, series } }));
}
