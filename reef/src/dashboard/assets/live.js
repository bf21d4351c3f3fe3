// Live: a page asks every few seconds whether it is still the newest, and fetches its content again when it is not.
// @ts-check

const EVERY_MS = 5000;
/** How long a look may take. */
const LOOK_MS = 8000;
/** How long a page may take: longer than the reef works on one. */
const PAGE_MS = 25000;
/** After a page that took too long. */
const REST_MS = 60000;
/** How long a choice or a selection of text counts after the last touch. */
const TOUCH_MS = 15000;
const PARTS = ["main", "known"];

let tag = document.body.dataset.tag ?? "";
/** @type {Date | null} */
let lostSince = null;
/** No renewal before this time. */
let restUntil = 0;
/** When a list of choices was touched last, and when text was selected last. */
let [chosenAt, selectedAt] = [0, 0];
/** Whether the list of choices that was touched last was touched by a pointer. */
let isPointed = false;

/** @param {Date} date */
function clock(date) {
  return date.toISOString().slice(11, 19) + " UTC";
}

/** @param {string} text */
function say(text) {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
}

function lost() {
  lostSince ??= new Date();
  const banner = document.getElementById("lost");
  if (banner && banner.hidden) {
    banner.hidden = false;
    banner.textContent =
      `The reef has not answered since ${clock(lostSince)}. This page shows what was known then; it comes back by itself.`;
    document.body.classList.add("lost");
  }
}

function found() {
  lostSince = null;
  const banner = document.getElementById("lost");
  if (banner && !banner.hidden) {
    banner.hidden = true;
    document.body.classList.remove("lost");
  }
}

/** Whether a reader is typing, choosing or selecting something, which new content would undo. */
function isBusy() {
  const active = document.activeElement;
  if ([...document.querySelectorAll("textarea")].some((area) => area.value !== area.defaultValue)) return true;
  if (active instanceof HTMLSelectElement) return Date.now() - chosenAt < TOUCH_MS;
  if (active instanceof HTMLTextAreaElement) return true;
  if (active instanceof HTMLInputElement) return !["checkbox", "radio", "button", "submit"].includes(active.type);
  return !getSelection()?.isCollapsed && Date.now() - selectedAt < TOUCH_MS;
}

/** What an element is called in one page and in the next. @param {Element | null} element @returns {string} */
function nameOf(element) {
  if (!(element instanceof Element)) return "";
  if (element.id) return `#${element.id}`;
  if (element instanceof HTMLDetailsElement) return `details ${element.dataset.key ?? element.querySelector("summary")?.textContent}`;
  if (element.localName === "summary") return `summary of ${nameOf(element.parentElement)}`;
  for (const name of ["href", "name", "aria-label"]) {
    const value = element.getAttribute(name);
    if (value) return `${element.localName} ${name} ${value}`;
  }
  return `${element.localName} ${element.previousElementSibling?.textContent ?? ""}`;
}

/** Elements by name; of several with one name each by its place among them. @param {Iterable<Element>} elements */
function named(elements) {
  const [all, counts] = [new Map(), new Map()];
  for (const element of elements) {
    const name = nameOf(element);
    const place = counts.get(name) ?? 0;
    counts.set(name, place + 1);
    all.set(`${name} ${place}`, element);
  }
  return all;
}

/** Lists of choices that are not as the page came. @returns {HTMLSelectElement[]} */
function chosen() {
  const lists = [...document.querySelectorAll("select")];
  return lists.filter((list) => list.value !== ([...list.options].find((one) => one.defaultSelected) ?? list.options[0])?.value);
}

/** What can have the focus. */
const reachable = () => named(document.querySelectorAll("a[href], summary, button, select, input, [tabindex]"));

/** Fetches this page again and replaces its parts. */
async function renew() {
  const response = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(PAGE_MS) });
  if (response.redirected && new URL(response.url).pathname === "/login") {
    location.reload();
    return;
  }
  if (response.status === 504) {
    restUntil = Date.now() + REST_MS;
    say("This page takes long to make: it shows what was known before. All times are UTC.");
    return;
  }
  if (response.status >= 500) throw new Error(`status ${response.status}`);
  const next = new DOMParser().parseFromString(await response.text(), "text/html");
  if (isBusy()) return;
  const open = new Map([...named(document.querySelectorAll("details"))].map(([name, one]) => [name, one.open]));
  const choices = chosen().map((list) => [nameOf(list), list.value]);
  const focused = [...reachable()].find(([, one]) => one === document.activeElement)?.[0];
  for (const id of PARTS) {
    const [old, part] = [document.getElementById(id), next.getElementById(id)];
    if (old && part) old.replaceWith(document.adoptNode(part));
  }
  for (const [name, one] of named(document.querySelectorAll("details"))) one.open = open.get(name) ?? one.open;
  // a choice that is not sent yet stays
  for (const [name, value] of choices) {
    for (const list of document.querySelectorAll("select")) if (nameOf(list) === name) list.value = value;
  }
  tag = next.body.dataset.tag ?? tag;
  prepare();
  document.dispatchEvent(new CustomEvent("renewed"));
  if (focused && !document.activeElement?.closest(PARTS.map((id) => `#${id}`).join())) {
    (reachable().get(focused) ?? document.getElementById("main"))?.focus({ preventScroll: true });
  }
  say(`Updated at ${clock(new Date())}. All times are UTC.`);
}

/** The newest tag of this page: pages of questions have theirs behind a dot. @param {{ tag: string, questions: string }} now */
const newest = (now) => (tag.includes(".") ? `${now.tag}.${now.questions}` : now.tag);

async function look() {
  try {
    const response = await fetch("/live", { signal: AbortSignal.timeout(LOOK_MS) });
    if (response.status === 401) {
      location.reload();
      return;
    }
    if (response.status === 429) return;
    if (!response.ok) throw new Error(`status ${response.status}`);
    const now = await response.json();
    const wasLost = lostSince !== null || tag === "none";
    if ((newest(now) !== tag || wasLost) && !isBusy() && Date.now() >= restUntil) {
      if (tag === "none") {
        location.reload();
        return;
      }
      await renew();
    }
    found();
  } catch {
    lost();
  }
}

/** A question is sent once: its answer may cost tokens. @param {HTMLFormElement} form */
function askOnce(form) {
  const button = form.querySelector("button");
  if (!button) return;
  form.addEventListener("submit", () => {
    button.disabled = true;
    say("The question is being answered.");
  });
}

/** Pickers send themselves after a choice by pointer; by keyboard each arrow is a choice, and the button sends the last one.
 * Commands can be copied. */
function prepare() {
  for (const form of document.querySelectorAll("form.ask")) {
    if (form instanceof HTMLFormElement) askOnce(form);
  }
  for (const form of document.querySelectorAll("form.pickers")) {
    if (!(form instanceof HTMLFormElement)) continue;
    form.addEventListener("change", () => {
      if (!isPointed) return;
      const fields = new URLSearchParams();
      for (const [name, value] of new FormData(form)) if (value !== "") fields.append(name, String(value));
      location.assign(`${form.action.split("?")[0]}?${fields}`);
    });
  }
  for (const button of document.querySelectorAll("button.copy")) {
    if (!(button instanceof HTMLButtonElement) || !navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling?.textContent ?? "");
      button.textContent = "Copied";
    });
  }
}

/** One look after the other, also after a slow one; none while nobody sees the page. */
async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, EVERY_MS);
}

prepare();
for (const kind of ["pointerdown", "keydown"]) {
  document.addEventListener(kind, (event) => {
    if (!(event.target instanceof HTMLSelectElement)) return;
    chosenAt = Date.now();
    isPointed = kind === "pointerdown";
  });
}
// a page that the browser has kept is as it was left
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form.ask button")) if (button instanceof HTMLButtonElement) button.disabled = false;
});
document.addEventListener("selectionchange", () => { selectedAt = Date.now(); });
if (tag !== "") {
  setTimeout(watch, EVERY_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
}
