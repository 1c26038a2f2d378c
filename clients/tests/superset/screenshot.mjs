// Logs in to Superset with a browser, opens a dashboard, waits for its charts and takes a picture of it.
//
//     node screenshot.mjs URL USER PASSWORD DASHBOARD BROWSER FILE
//
// What the page said went wrong, and how many charts it shows, is printed as JSON.

import { chromium } from "playwright-core";

const [url, user, password, dashboard, browser, file] = process.argv.slice(2);
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"];
const launched = await chromium.launch({ executablePath: browser, args: quiet });
const page = await launched.newPage({ viewport: { width: 1280, height: 900 } });
await page.goto(`${url}/login/`);
await page.fill("#username", user);
await page.fill("#password", password);
await page.press("#password", "Enter");
await page.waitForURL((address) => !address.pathname.startsWith("/login"));
await page.goto(`${url}/superset/dashboard/${dashboard}/?standalone=1`);
const charts = page.locator(".dashboard-component-chart-holder");
await charts.first().waitFor();
await page.waitForFunction(
  () => document.querySelectorAll(".slice_container").length > 0 && !document.querySelector(".loading"),
);
// The charts draw themselves in with an animation.
await page.waitForTimeout(3000);
await page.screenshot({ path: file });
const errors = await page.locator(".ant-alert-error, [data-test=error-message]").allInnerTexts();
console.log(JSON.stringify({ charts: await page.locator(".slice_container").count(), errors }));
await launched.close();
