// Charts: one for each environment, on one scale, with one crosshair; a switch shifts one of them by the found lag.
// @ts-check
import uPlot from "./uPlot.esm.js";

const HEIGHT = 250;
/** How long data may take: longer than the reef works on it. */
const DATA_MS = 25000;
/** Deployments that are named below a chart. */
const NAMED_MAX = 12;
/** How far from a deployment a click may be, and how far a pointer moves before it drags; in pixels. */
const [NEAR, STILL] = [6, 4];
const COLOURS = ["--a", "--b", "--c", "--d", "--e", "--f"];
/** @typedef {{ timestamp: string, value?: number, low?: number, high?: number, sample_count: string }} Point */
/** @typedef {{ service_id: string, colony_id: string, points: Point[] }} Series */
/** @typedef {{ from: number, to: number, label: string, href: string }} Deployed */
/** @typedef {{ figure: HTMLElement, environment: string, unit: string, series: Series[], total: number, step: number, from: number,
 *   to: number, deployments: Deployed[], isCut: boolean, shift: number, chart?: any }} Side */

// one for as long as the page is open: a renewal replaces the figures around the charts, and neither zoom nor shift
/** @type {Map<string, Side>} */
let sides = new Map();
let [lowest, highest] = [0, 1];
let [from, to] = [0, 1];
/** Services of all charts, so that each has one colour.
 * @type {string[]} */
let services = [];
let isShifted = false;
let round = 0;

/** Text as pages show it: without what turns or hides text. @param {string} text */
function printable(text) {
  return text.replace(/[\p{Cc}\u{ad}\u{61c}\u{180e}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu, "·");
}

/** @param {string} name */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** @param {string} rfc */
function seconds(rfc) {
  return Date.parse(rfc) / 1000;
}

/** @param {string} url */
async function json(url) {
  const response = await fetch(url, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(DATA_MS) });
  if (response.ok) return response.json();
  const isSaid = response.headers.get("content-type")?.startsWith("application/json");
  const said = isSaid ? await response.json() : {};
  throw new Error([said.message, said.hint].filter(Boolean).join("; ") || `the reef answered with status ${response.status}`);
}

/** @param {HTMLElement} figure @returns {Promise<Side>} */
async function read(figure) {
  const [metrics, deployments] = await Promise.all([
    json(figure.dataset.series ?? ""), json(figure.dataset.deployments ?? "")]);
  const [begin, end] = [seconds(metrics.start_time), seconds(metrics.end_time)];
  const all = deployments.deployments.map((/** @type {any} */ one) => ({
    from: seconds(one.started_at), to: seconds(one.completed_at ?? one.started_at),
    label: printable(`${one.service_id} ${one.to_version}`.trim()),
    href: `/deployment?id=${encodeURIComponent(`${one.colony_id}/${one.deployment_id}`)}`,
  }));
  return {
    figure, environment: figure.dataset.environment ?? "", unit: figure.dataset.unit ?? "none", series: metrics.series,
    total: metrics.total ?? metrics.series.length, step: metrics.step_seconds, from: begin, to: end, shift: 0,
    deployments: all.filter((/** @type {Deployed} */ one) => one.to >= begin && one.from < end),
    isCut: deployments.truncated === true,
  };
}

/** What a line is called: its service, with the colony where several have the service. @param {Side} side @param {Series} one */
function title(side, one) {
  if (!one.service_id) return printable(one.colony_id);
  const isAlone = side.series.filter((other) => other.service_id === one.service_id).length === 1;
  return printable(isAlone ? one.service_id : `${one.service_id} in ${one.colony_id}`);
}

/** The colour of a line, the same on all sides. @param {string} name */
function colourOf(name) {
  return colour(COLOURS[services.indexOf(name) % COLOURS.length]);
}

/** A value with its unit. @param {string} unit @param {number | null | undefined} value */
function shown(unit, value) {
  if (value === undefined || value === null) return "–";
  const digits = (/** @type {number} */ number) => String(Number(number.toPrecision(6)));
  const scales = /** @type {const} */ ([[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]);
  switch (unit) {
    case "none": return digits(value);
    case "share": return `${digits(value * 100)} %`;
    case "percent": return `${digits(value)} %`;
    case "bytes": {
      const scale = scales.find(([size]) => Math.abs(value) >= size);
      return scale ? `${digits(value / scale[0])} ${scale[1]}` : `${digits(value)} B`;
    }
    default: return `${digits(value)} ${unit}`;
  }
}

/** Columns of a chart: each step of the range, so that a gap is a gap. @param {Side} side */
function columns(side) {
  const times = [];
  for (let at = side.from; at < side.to; at += side.step) times.push(at);
  const data = [times.map((at) => at + side.shift)];
  for (const one of side.series) {
    const by = new Map(one.points.map((point) => [seconds(point.timestamp), point]));
    for (const name of /** @type {const} */ (["value", "low", "high"])) {
      data.push(times.map((at) => /** @type {any} */ (by.get(at)?.[name] ?? null)));
    }
  }
  return data;
}

/** What all charts share: the range of values and times, and colours. */
function share() {
  const all = [...sides.values()];
  const values = all.flatMap((side) => side.series.flatMap((one) => one.points.flatMap((point) =>
    [point.low ?? point.value, point.high ?? point.value]))).filter((value) => typeof value === "number");
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  lowest = values.reduce((a, b) => Math.min(a, b), 0);
  highest = most > lowest ? most * 1.05 : lowest + 1;
  const known = all.filter((side) => side.from < side.to);
  [from, to] = known.length > 0 ? [Math.min(...known.map((side) => side.from)), Math.max(...known.map((side) => side.to))] : [0, 1];
  services = [...new Set(all.flatMap((side) => side.series.map((one) => title(side, one))))].sort();
}

/** Deployments as striped ranges behind the lines. @param {any} chart @param {Side} side */
function deployments(chart, side) {
  const { ctx, bbox } = chart;
  const shift = side.shift;
  ctx.save();
  for (const one of side.deployments) {
    if (one.to + shift < chart.scales.x.min || one.from + shift > chart.scales.x.max) continue;
    const left = Math.max(chart.valToPos(one.from + shift, "x", true), bbox.left);
    const right = Math.min(Math.max(chart.valToPos(one.to + shift, "x", true), left + 2), bbox.left + bbox.width);
    ctx.globalAlpha = 0.18;
    ctx.fillStyle = colour("--soft");
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = 0.7;
    ctx.fillStyle = colour("--brand");
    ctx.fillRect(left, bbox.top, 1.5 * devicePixelRatio, bbox.height);
  }
  ctx.restore();
}

/** Times of the axis, on a clock of 24 hours; a day where it begins. @param {Side} side */
function times(side) {
  return (/** @type {any} */ _, /** @type {number[]} */ splits, /** @type {number} */ __, /** @type {number} */ ___, /** @type {number} */ step) =>
    splits.map((at) => {
      const text = new Date((at - side.shift) * 1000).toISOString();
      const time = text.slice(11, 16);
      return step >= 86400 || time === "00:00" ? text.slice(5, 10) : time;
    });
}

/** Places of values without a neighbour, which no line shows. @param {any} chart @param {number} column */
function isolated(chart, column) {
  const values = chart.data[column];
  const places = [];
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) places.push(at);
  }
  return places.length > 0 ? places : null;
}

/** Moves all charts to a part of the time, within what they have. @param {number} min @param {number} max */
function showPart(min, max) {
  const length = Math.min(max - min, to - from);
  const begin = Math.min(Math.max(min, from), to - length);
  for (const side of sides.values()) side.chart?.setScale("x", { min: begin, max: begin + length });
}

/** The part that is shown. @returns {[number, number]} */
function shownPart() {
  for (const side of sides.values()) {
    const { min, max } = side.chart?.scales.x ?? {};
    if (min != null && max != null) return [min, max];
  }
  return [from, to];
}

/** Moves by a button. @param {string | undefined} how */
function move(how) {
  const [min, max] = shownPart();
  const [length, middle] = [max - min, (min + max) / 2];
  switch (how) {
    case "in": return showPart(middle - length / 4, middle + length / 4);
    case "out": return showPart(middle - length, middle + length);
    case "left": return showPart(min - length / 2, max - length / 2);
    case "right": return showPart(min + length / 2, max + length / 2);
    default: return showPart(from, to);
  }
}

/** Offers the part that is shown as a page of its own, with points of a shorter step. */
function offerDetail() {
  const link = document.getElementById("detail");
  if (!(link instanceof HTMLAnchorElement)) return;
  const [min, max] = shownPart();
  link.hidden = max - min >= (to - from) * 0.999;
  const url = new URL(location.href);
  for (const name of ["range", "cursor"]) url.searchParams.delete(name);
  url.searchParams.set("from", new Date(min * 1000).toISOString());
  url.searchParams.set("to", new Date(max * 1000).toISOString());
  link.href = `${url.pathname}${url.search}`;
}

/** Shift and a drag move the charts; a click on a deployment leads to what it changed. @param {Side} side */
function followPointer(side) {
  const { over } = side.chart;
  /** @type {{ x: number, part: [number, number] } | null} */
  let held = null;
  /** @type {number} */
  let place = 0;
  let isWaiting = false;
  over.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    place = event.clientX;
    if (!event.shiftKey) return;
    held = { x: event.clientX, part: shownPart() };
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (!held) return;
    place = event.clientX;
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      if (!held) return;
      const [min, max] = held.part;
      const by = (held.x - place) / over.clientWidth * (max - min);
      showPart(min + by, max + by);
    });
  });
  for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, () => { held = null; });
  over.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.shiftKey || Math.abs(event.clientX - place) > STILL) return;
    const at = event.clientX - over.getBoundingClientRect().left;
    const x = (/** @type {number} */ time) => side.chart.valToPos(time + side.shift, "x");
    const hit = side.deployments.find((one) => at >= x(one.from) - NEAR && at <= x(one.to) + NEAR);
    if (hit) location.assign(hit.href);
  });
}

/** The part of the time that was chosen; `null` for all of it. @param {any} chart @returns {{ min: number, max: number } | null} */
function chosen(chart) {
  const { min, max } = chart.scales.x;
  return min == null || max == null || (min === chart.whole[0] && max === chart.whole[1]) ? null : { min, max };
}

/** What a pressed button does: it selects, apart from with Shift. @param {any} _ @param {EventTarget} over @param {(event: MouseEvent) => void} select */
function selecting(_, over, select, isOver = true) {
  return (/** @type {MouseEvent} */ event) => {
    if (event.button === 0 && !event.shiftKey && (!isOver || event.target === over)) select(event);
  };
}

/** Draws a chart, in place of the one that the side has. @param {Side} side */
function draw(side) {
  const place = /** @type {HTMLElement} */ (side.figure.querySelector(".chart"));
  const part = side.chart ? chosen(side.chart) : null;
  side.chart?.destroy();
  const line = { spanGaps: false, points: { show: false } };
  /** @type {any[]} */
  const series = [{}];
  /** @type {any[]} */
  const bands = [];
  side.series.forEach((one, number) => {
    const stroke = colourOf(title(side, one));
    const points = { show: false, size: 5, fill: stroke, filter: isolated };
    series.push({ ...line, label: title(side, one), stroke, width: 1.5, points });
    series.push({ ...line, label: "", stroke: "transparent" }, { ...line, label: "", stroke: "transparent" });
    bands.push({ series: [number * 3 + 3, number * 3 + 2], fill: stroke + "28" });
  });
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--faint"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const values = (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((value) => shown(side.unit, value));
  side.chart = new uPlot({
    width: place.clientWidth, height: HEIGHT, series, bands, tzDate: (/** @type {number} */ at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    legend: { show: false }, padding: [8, 10, 0, 0],
    cursor: {
      sync: { key: "compare", setSeries: false }, drag: { x: true, y: false },
      // with Shift the pointer moves the charts and selects nothing
      bind: { mousedown: selecting },
    },
    scales: {
      y: { range: () => [lowest, highest] },
      // all of the data is the range of both sides, so that a shift is seen; a part that was chosen is that part
      x: { time: true, range: (/** @type {any} */ chart, /** @type {number} */ min, /** @type {number} */ max) =>
        min === chart.data[0][0] && max === chart.data[0].at(-1) ? [from, to] : [min, max] },
    },
    axes: [{ ...axis, size: 30, values: times(side) }, { ...axis, size: 78, values }],
    hooks: { drawClear: [(/** @type {any} */ chart) => deployments(chart, side)], setScale: [offerDetail] },
  }, columns(side), place);
  side.chart.whole = [from, to];
  if (part) side.chart.setScale("x", part);
  followPointer(side);
}

/** Gives a chart the newest data; what was zoomed into stays. @param {Side} side */
function update(side) {
  const part = chosen(side.chart);
  side.chart.whole = [from, to];
  side.chart.setData(columns(side), part === null);
  if (part) side.chart.setScale("x", part);
}

/** The same numbers as rows, and a sentence. @param {Side} side */
function tell(side) {
  const summary = /** @type {HTMLElement} */ (side.figure.querySelector(".summary"));
  const names = side.series.map((one) => title(side, one));
  summary.replaceChildren();
  if (names.length === 0) summary.textContent = "Nothing was observed in this range: look at another one, or at the page Reef.";
  names.forEach((name, number) => {
    const key = document.createElement("span");
    key.className = "key";
    key.style.color = colourOf(name);
    key.textContent = "▬ ";
    summary.append(number > 0 ? "  " : "", key, name);
  });
  if (side.total > names.length) {
    const all = document.createElement("a");
    all.href = side.figure.dataset.all ?? "";
    all.textContent = `${names.length} of ${side.total} series`;
    summary.append("  ", all);
  }
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["Service", "From", "Value", "Lowest", "Highest"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const one of side.series) {
    let last = Infinity;
    for (const point of one.points) {
      if (seconds(point.timestamp) - last > side.step) {
        const gap = body.insertRow();
        gap.className = "gap";
        const cell = gap.insertCell();
        cell.colSpan = 5;
        cell.textContent = "nothing was received";
      }
      last = seconds(point.timestamp);
      const row = body.insertRow();
      const values = [point.value, point.low, point.high].map((value) => shown(side.unit, value));
      for (const text of [title(side, one), point.timestamp.slice(0, 16).replace("T", " "), ...values]) {
        row.insertCell().textContent = text;
      }
    }
  }
  const points = side.figure.querySelector(".points");
  points?.querySelector("table")?.remove();
  points?.append(table);
  name(side);
}

/** Names the deployments of a chart, each with a link to what it changed. @param {Side} side */
function name(side) {
  const place = side.figure.querySelector(".deployed");
  if (!place) return;
  place.replaceChildren();
  if (side.deployments.length === 0) return;
  place.append("Deployments: ");
  side.deployments.slice(0, NAMED_MAX).forEach((one, number) => {
    const link = document.createElement("a");
    link.href = one.href;
    link.textContent = `${one.label || "deployment"}, ${new Date(one.from * 1000).toISOString().slice(5, 16).replace("T", " ")}`;
    place.append(number > 0 ? " · " : "", link);
  });
  if (side.deployments.length > NAMED_MAX) {
    const all = document.createElement("a");
    all.href = side.figure.dataset.timeline ?? "/timeline";
    all.textContent = "all of them";
    place.append(" · ", all);
  }
  if (side.isCut) place.append(` · only the newest ${side.deployments.length} are drawn: choose a shorter range for older ones`);
}

/** Shifts the source by the found lag, or not. */
function shift() {
  const box = document.getElementById("shift");
  const found = box instanceof HTMLInputElement ? box : null;
  if (found) found.checked = isShifted;
  const isOn = isShifted && found !== null;
  for (const side of sides.values()) {
    side.shift = isOn && side.environment === found.dataset.source ? Number(found.dataset.seconds) : 0;
  }
  document.getElementById("charts")?.classList.toggle("stacked", isOn);
}

/** Buttons are for charts that are there. */
function showTools() {
  const tools = document.getElementById("tools");
  if (tools) tools.hidden = ![...sides.values()].some((side) => side.chart);
}

/** Charts whose width is no longer that of their figure. */
function fit() {
  for (const side of sides.values()) {
    const width = side.figure.querySelector(".chart")?.clientWidth ?? 0;
    if (side.chart && width > 0 && side.chart.width !== width) side.chart.setSize({ width, height: HEIGHT });
  }
}

/** Whether the chart of a side can show the data of another: it has the same lines in the same unit.
 * @param {Side} old @param {Side} side */
function isSame(old, side) {
  const lines = (/** @type {Side} */ one) => JSON.stringify([one.unit, one.series.map((line) => title(one, line))]);
  return old.chart !== undefined && lines(old) === lines(side);
}

async function start() {
  round += 1;
  const mine = round;
  const figures = [...document.querySelectorAll("#charts figure")].filter((one) => one instanceof HTMLElement);
  const names = new Set(figures.map((figure) => figure.dataset.environment ?? ""));
  for (const [name, side] of sides) {
    if (names.has(name)) continue;
    side.chart?.destroy();
    sides.delete(name);
  }
  // the charts that are known stay in sight until their newest data is here
  for (const figure of figures) {
    const side = sides.get(figure.dataset.environment ?? "");
    if (!side || side.figure === figure) continue;
    side.figure = figure;
    if (side.chart) figure.querySelector(".chart")?.append(side.chart.root);
    tell(side);
  }
  shift();
  showTools();
  const answers = await Promise.allSettled(figures.map((figure) => read(figure)));
  if (mine !== round) return;
  const colours = services.join();
  /** @type {Set<Side>} */
  const redrawn = new Set();
  /** @type {[HTMLElement, string][]} */
  const failures = [];
  answers.forEach((answer, place) => {
    const name = figures[place].dataset.environment ?? "";
    const old = sides.get(name);
    if (answer.status === "rejected") {
      failures.push([figures[place], printable(`There is no ${old ? "newer " : ""}chart: ${answer.reason.message}.`)]);
      return;
    }
    const side = answer.value;
    side.chart = old?.chart;
    // hooks of a chart look at the side that it was drawn for
    if (old && isSame(old, side)) Object.assign(old, side);
    else {
      sides.set(name, side);
      redrawn.add(side);
    }
  });
  share();
  shift();
  const isRecoloured = services.join() !== colours;
  for (const side of sides.values()) {
    tell(side);
    if (isRecoloured || redrawn.has(side)) draw(side);
    else update(side);
  }
  for (const [figure, why] of failures) {
    const summary = figure.querySelector(".summary");
    if (summary) summary.textContent = why;
  }
  fit();
  showTools();
  offerDetail();
  document.body.dataset.drawn = String(sides.size);
}

document.addEventListener("change", (event) => {
  if (!(event.target instanceof HTMLInputElement) || event.target.id !== "shift") return;
  isShifted = event.target.checked;
  shift();
  sides.forEach(update);
  fit();
});
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("#tools button") : null;
  if (button instanceof HTMLButtonElement) move(button.dataset.move);
});
new ResizeObserver(fit).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => sides.forEach((side) => {
  tell(side);
  draw(side);
}));
document.addEventListener("renewed", start);
start();
