// Uses the console in headless Chromium: node console.mjs URL [SCREENSHOT-FOLDER]. Prints what it saw as one JSON object.
// ADMIN_PASSWORD is the first admin's, which is due to be changed.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [url, shots] = process.argv.slice(2);
const seen = { requests: [], failures: [], errors: [], violations: {}, widths: {} };
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const { browser, close } = await launch(chromium, { viewport: { width: 1200, height: 900 } });
browser.setDefaultTimeout(120_000);
try {
  const page = await browser.newPage();
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('requestfailed', (request) => seen.failures.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', (response) => response.status() >= 400 && seen.failures.push(`${response.url()}: ${response.status()}`));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));

  // Somebody who is not an ADMIN is told so.
  await page.goto(`${url}/console`);
  await signIn('player@example.com', process.env.PLAYER_PASSWORD);
  seen.refused = await page.getByText('role ADMIN').innerText();
  await page.getByRole('button', { name: 'Sign out' }).click();

  // A wrong password, then the first admin, whose password is due; all by keyboard.
  await page.getByLabel('Email').waitFor();
  await checked('sign-in');
  await signIn('admin@example.com', 'wrong');
  seen.wrong = await page.getByRole('alert').getByText(/\w/).innerText();
  await signIn('admin@example.com', process.env.ADMIN_PASSWORD);
  await page.getByLabel('Current password').fill(process.env.ADMIN_PASSWORD);
  await page.getByLabel('New password').fill('the phrase of an admin');
  await page.keyboard.press('Enter');
  await page.getByRole('navigation').waitFor();

  // An API key: made, shown once, revoked.
  await open('API keys');
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByLabel('What it is for').fill('importer');
  await page.getByRole('button', { name: 'Make it' }).click();
  seen.scopeless = await page.getByRole('alert').getByText(/\w/).innerText();
  await page.getByLabel('Change and import products').check();
  await checked('new-key');
  await page.getByRole('button', { name: 'Make it' }).click();
  seen.key = await page.locator('.secret').innerText();
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('row', { name: 'importer' }).waitFor();
  await checked('keys');
  await page.getByRole('button', { name: 'Revoke importer' }).click();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await page.getByText('There are no keys.').waitFor();

  seen.stored = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Email').waitFor();

  async function signIn(email, password) {
    await page.getByLabel('Email').fill(email);
    await page.getByLabel('Password').fill(password);
    await page.keyboard.press('Enter');
  }

  async function open(section) {
    await page.getByRole('link', { name: section }).click();
    await page.getByRole('heading', { level: 1, name: section }).waitFor();
  }

  // What axe finds of `name`, in the light and in the dark; and how wide it is on a telephone.
  async function checked(name) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
      seen.violations[`${name} ${colorScheme}`] = violations.map((one) => `${one.id}: ${one.nodes[0].html} ${one.nodes[0].failureSummary}`);
      await shot(`${name}-${colorScheme}`);
    }
    await page.setViewportSize({ width: 400, height: 800 });
    seen.widths[name] = await page.evaluate(() => document.documentElement.scrollWidth);
    await shot(`${name}-phone`);
    await page.setViewportSize({ width: 1200, height: 900 });
    await page.emulateMedia({ colorScheme: 'light' });
  }

  async function shot(name) {
    if (shots) await page.screenshot({ path: path.join(shots, `console-${name}.png`) });
  }
} finally {
  await close();
}
console.log(JSON.stringify(seen));
