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

  // What the server does: an operation that is asked now is told of, by name.
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  const asking = setInterval(() => fetch(`${url}/graphql`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: 'query Asked { categories { slug } }' }),
  }).catch(() => {}), 200);
  await page.getByRole('row', { name: 'Asked' }).waitFor();
  clearInterval(asking);
  seen.tiles = await page.locator('.tiles dt').allInnerTexts();
  seen.fleet = await page.getByRole('region', { name: 'Processes' }).innerText();
  seen.engines = await page.getByRole('region', { name: 'Engines' }).innerText();
  await checked('overview');

  // A product: made, found, its price changed.
  await open('Products');
  await page.getByRole('button', { name: 'New product' }).click();
  await page.getByLabel('Sku').fill('made-here');
  await page.getByLabel('Name').fill('A lantern');
  await page.getByLabel('Price').fill('7.5');
  await checked('new-product');
  await page.getByRole('button', { name: 'Make it' }).click();
  await page.getByRole('row', { name: 'A lantern made-here' }).getByText('7.50 USD').waitFor();
  await page.getByLabel('Words').fill('lamp');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('row', { name: /lamp/i }).nth(1).waitFor();
  await page.getByRole('button', { name: /^Edit / }).first().click();
  seen.product = await page.getByLabel('Name').inputValue();
  await page.getByLabel('Price').fill('12.345');
  await page.getByRole('button', { name: 'Save' }).click();
  seen.badPrice = await page.getByRole('dialog').getByRole('alert').getByText(/\w/).innerText();
  await page.getByLabel('Price').fill('12.34');
  await page.getByLabel('Currency').fill('EUR');
  await checked('product');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('cell', { name: '12.34 EUR' }).waitFor();
  await checked('products');

  // A file: what would become of it, then its import, which is followed to its end; then one that fails, discarded.
  await page.getByRole('button', { name: 'Import a file' }).click();
  await file('spring.csv', 'sku,name,price,shelf\nconsole-1,A lamp of the console,9.50,x\n');
  await page.getByRole('button', { name: 'Look' }).click();
  await page.getByRole('heading', { name: 'First products' }).waitFor();
  seen.preview = await page.getByRole('dialog').innerText();
  await checked('preview');
  await page.getByRole('button', { name: 'Import it' }).click();
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
  await page.getByRole('row', { name: 'spring.csv' }).getByText('succeeded').waitFor();
  await open('Products');
  await page.getByRole('button', { name: 'Import a file' }).click();
  await file('bad.csv', 'sku,name,price\nconsole-2,A chair,\n');
  await page.getByRole('button', { name: 'Look' }).click();
  await page.getByRole('button', { name: 'Import it' }).click();
  await page.getByRole('row', { name: 'bad.csv' }).getByText('failed').waitFor();
  await checked('jobs');
  await page.getByRole('button', { name: 'Retry bad.csv' }).click();
  await page.getByRole('status').getByText('queued again').waitFor();
  await page.getByRole('row', { name: 'bad.csv' }).getByText('failed').waitFor();
  await page.getByRole('button', { name: 'Discard bad.csv' }).click();
  await page.getByRole('button', { name: 'Discard', exact: true }).click();
  await page.getByRole('row', { name: 'bad.csv' }).waitFor({ state: 'detached' });

  // A category: made, deleted.
  await open('Categories');
  await page.getByRole('button', { name: 'New category' }).click();
  await page.getByLabel('Slug').fill('of-the-console');
  await page.getByLabel('Name').fill('Of the console');
  await page.getByRole('button', { name: 'Make it' }).click();
  await page.getByRole('row', { name: 'Of the console' }).waitFor();
  await checked('categories');
  await page.getByRole('button', { name: 'Delete Of the console' }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('row', { name: 'Of the console' }).waitFor({ state: 'detached' });

  // A board: a score comes to the top while it is looked at, and to the neighbourhood.
  await open('Boards');
  await page.getByLabel('Board').selectOption('all-time');
  await page.getByRole('button', { name: /^Neighbours of .*, rank 1$/ }).click();
  await page.getByRole('region', { name: 'Neighbourhood' }).waitFor();
  await score(987654321);
  await page.getByRole('region', { name: 'Top' }).getByRole('row', { name: '987,654,321' }).waitFor();
  await page.getByRole('region', { name: 'Neighbourhood' }).getByRole('row', { name: '987,654,321' }).waitFor();
  await checked('boards');

  // A user's sessions: the player's, which ends.
  await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      query: 'mutation ($input: LoginInput!) { login(input: $input) { __typename } }',
      variables: { input: { email: 'player@example.com', password: process.env.PLAYER_PASSWORD } },
    }),
  });
  await open('Users');
  await page.getByLabel('Email').fill('player@example.com');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('button', { name: 'Sessions of Player' }).click();
  await page.getByRole('region', { name: 'Sessions' }).waitFor();
  await checked('sessions');
  await page.getByRole('button', { name: 'End all' }).click();
  await page.getByRole('button', { name: 'End', exact: true }).last().click();
  await page.getByRole('button', { name: 'Sessions of Player', disabled: true }).waitFor();
  await checked('users');

  // The player gets a role, is disabled and enabled again; the last ADMIN stays one.
  const player = page.getByRole('row', { name: 'Player' });
  await page.getByRole('button', { name: 'Change Player' }).click();
  await page.getByRole('dialog').getByRole('combobox').selectOption('SERVICE');
  await checked('change-user');
  await page.getByRole('button', { name: 'Save' }).click();
  await player.getByText('SERVICE').waitFor();
  await page.getByRole('button', { name: 'Change Player' }).click();
  await page.getByRole('button', { name: 'Disable' }).click();
  await page.getByRole('button', { name: 'Disable', exact: true }).last().click();
  await player.getByText('disabled').waitFor();
  await page.getByRole('button', { name: 'Change Player' }).click();
  await page.getByRole('button', { name: 'Enable' }).click();
  await player.getByText('disabled').waitFor({ state: 'detached' });
  await page.getByLabel('Email').fill('admin@example.com');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('button', { name: 'Change Admin' }).click();
  await page.getByRole('button', { name: 'Disable' }).click();
  await page.getByRole('button', { name: 'Disable', exact: true }).last().click();
  seen.lastAdmin = await page.getByRole('alert').getByText(/\w/).innerText();
  await page.getByRole('button', { name: 'Cancel' }).last().click();
  await page.getByRole('button', { name: 'Cancel' }).click();

  // An API key: made, shown once, revoked.
  await open('API keys');
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByLabel('What it is for').fill(`importer${'x'.repeat(80)}`); // a word that is wider than a telephone
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

  async function file(name, text) {
    await page.locator('input[type=file]').setInputFiles({ name, mimeType: 'text/csv', buffer: Buffer.from(text) });
  }

  // Submits a score of the admin, in the page, whose cookie says who that is.
  async function score(value) {
    await page.evaluate((given) => fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        query: 'mutation ($score: Float!) { submitScore(input: { board: "all-time", score: $score }) { __typename } }',
        variables: { score: given },
      }),
    }), value);
  }

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
