// Drives a real browser over the dashboard. Modes: `check URL` prints one JSON line for each check; `pictures URL FOLDER`
// writes a picture of each page; `measure URL` prints what pages cost, as one JSON document; `watch URL`, `session URL` and
// `rows URL` follow a page step by step. BROWSER_TOOLS and CHROMIUM name the tools and the browser.
import { browser, mode } from "./page.mjs";
import { check } from "./checks.mjs";
import { measure } from "./measure.mjs";
import { pictures } from "./pictures.mjs";
import { rows, session, watch } from "./renewals.mjs";

await { check, measure, pictures, rows, session, watch }[mode]();
await browser.close();
