// Uses the console where something is amiss: node ways.mjs URL WHAT [SCREENSHOT-FOLDER]. Prints what it saw as JSON.
// ADMIN_PASSWORD is an admin's. It writes a word on standard output and waits for a line where the test has to do something.
import path from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [url, what, shots] = process.argv.slice(2);
const seen = { errors: [] };
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const { browser, close } = await launch(chromium, { viewport: { width: 1200, height: 900 } });
browser.setDefaultTimeout(120_000);
const page = await browser.newPage();
page.on('pageerror', (error) => seen.errors.push(String(error)));

// An application with other features: its sections, and each can be opened.
async function own() {
  await signIn();
  seen.sections = await page.getByRole('navigation').getByRole('link').allInnerTexts();
  for (const section of seen.sections) await open(section);
  await page.getByRole('button', { name: 'New key' }).waitFor();
}

// Where only trusted documents run: every section is answered, and the page of a board.
async function trusted() {
  await signIn();
  await page.getByRole('region', { name: 'Engines' }).waitFor();
  await open('Products');
  await page.getByRole('row', { name: /Edit / }).first().waitFor();
  await open('Boards');
  await page.getByRole('region', { name: 'Top' }).waitFor();
  await open('Users');
  await page.getByRole('row', { name: 'admin@example.com' }).waitFor();
  await page.goto(`${url}/board/all-time`);
  await page.getByRole('region', { name: 'The best players' }).waitFor();
}

// Redis goes away and comes back while the console is open: it says so, and goes on by itself.
async function redis() {
  await signIn();
  const engines = page.getByRole('region', { name: 'Engines' });
  await engines.waitFor();
  await told('kill');
  await page.getByText('is away').first().waitFor();
  await shot('redis-away');
  await open('Users');
  seen.away = await page.locator('main .bad').innerText();
  await shot('users-redis-away');
  await told('start');
  const row = page.getByRole('row', { name: 'admin@example.com' });
  const again = page.getByRole('button', { name: 'Try again' });
  for (let tries = 0; tries < 240 && !(await row.isVisible()); tries += 1) {
    // the server may not have found it yet: then whoever looks tries once more
    if (await again.isVisible()) await again.click({ timeout: 2000 }).catch(() => {}); // it may go meanwhile
    await page.waitForTimeout(500);
  }
  await row.waitFor();
  await open('Overview');
  await engines.getByText('answers').nth(1).waitFor();
}

// The session ends while the console is open: it leads to where one signs in, and then back to where one was.
async function session() {
  await signIn();
  await open('Jobs');
  await page.getByText('There are no jobs.').or(page.getByRole('region', { name: 'Jobs' })).first().waitFor();
  await told('revoke');
  await page.getByLabel('Password').waitFor();
  seen.ended = await page.locator('main').innerText();
  await shot('session-ended');
  await fill();
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
}

// By keyboard alone: from the link to the content to a dialog and back.
async function keyboard() {
  await signIn();
  await page.keyboard.press('Tab');
  for (let n = 0; n < 40 && await focused() !== 'Categories'; n += 1) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('row').nth(1).waitFor();
  for (let n = 0; n < 40 && await focused() !== 'New category'; n += 1) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  seen.inDialog = await page.evaluate(() => document.activeElement.closest('dialog') !== null);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  seen.after = await focused();
}

async function focused() {
  return page.evaluate(() => document.activeElement.innerText);
}

async function told(word) {
  console.log(word);
  await lines.next();
}

async function signIn() {
  await page.goto(`${url}/console`);
  await fill();
  await page.getByRole('navigation').waitFor();
}

async function fill() {
  await page.getByLabel('Email').fill('admin@example.com');
  await page.getByLabel('Password').fill(process.env.ADMIN_PASSWORD);
  await page.keyboard.press('Enter');
}

async function open(section) {
  await page.getByRole('link', { name: section, exact: true }).click();
  await page.getByRole('heading', { level: 1, name: section }).waitFor();
}

async function shot(name) {
  if (shots) await page.screenshot({ path: path.join(shots, `console-${name}.png`) });
}

try {
  await { own, trusted, redis, session, keyboard }[what]();
} finally {
  await close();
}
console.log(JSON.stringify(seen));
process.exit();
