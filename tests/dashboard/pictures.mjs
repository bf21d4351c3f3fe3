// Pictures of each page, for docs/dashboard.
import { join } from "node:path";
import { folder, go, known, open } from "./page.mjs";

export async function pictures() {
  const { page, context } = await open({ viewport: { width: 1200, height: 760 } });
  const { pattern, deployment, analysis } = await known(page);
  const shots = [
    ["overview", "/", "light"], ["overview-dark", "/", "dark"], ["patterns", "/patterns", "light"],
    ["pattern", pattern, "light"], ["timeline", "/timeline?range=7d&order=effect", "light"],
    ["deployment", deployment, "light"], ["compare", "/compare?range=24h", "light"], ["compare-dark", "/compare?range=24h", "dark"],
    ["services", "/services", "light"], ["analysis", analysis, "light"], ["reef", "/health", "light"],
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
