// Looks at every section of the console in headless Chromium with names that are markup, scripts, very long, or written
// from right to left: node hostile.mjs URL [SCREENSHOT-FOLDER]. Prints what it saw as one JSON object.
// ADMIN_PASSWORD is the first admin's, which is due to be changed.
import path from 'node:path';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [url, shots] = process.argv.slice(2);
const MARK = '<img src=x onerror="window.ran=1"><svg onload=ran=1>'; // each of these would run, or ask for something
const OUT = `"'><script>window.ran=1</script>`;
const BENT = '\u202Egnp.elif\u200B\u200D\u2066 \u0634\u0643\u0631\u0627';
const NAMES = [MARK, OUT, BENT];
const seen = { ran: false, errors: [], asked: [], refused: [], shown: {}, widths: {} };

const { browser, close } = await launch(chromium, { viewport: { width: 1200, height: 900 } });
browser.setDefaultTimeout(20_000);
try {
  const page = await browser.newPage();
  await page.addInitScript(() => {
    window.broken = [];
    document.addEventListener('securitypolicyviolation', (event) => window.broken.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  page.on('request', (request) => seen.asked.push(new URL(request.url()).pathname));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));
  page.on('dialog', (dialog) => { seen.ran = true; dialog.dismiss(); });

  await page.goto(`${url}/console`);
  await page.getByLabel('Email').fill('admin@example.com');
  await page.getByLabel('Password').fill(process.env.ADMIN_PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByLabel('Current password').fill(process.env.ADMIN_PASSWORD);
  await page.getByLabel('New password').fill('the phrase of an admin');
  await page.keyboard.press('Enter');
  await page.getByRole('navigation').waitFor();

  for (const [n, name] of [...NAMES, 'x'.repeat(200)].entries()) {
    await made('mutation ($name: String!) { createProduct(input: { sku: "bad-0N", name: $name, price: { amount: "1", currency: "USD" } }) { __typename } }', n, name);
    await made('mutation ($name: String!) { createCategory(input: { slug: "bad-0N", name: $name }) { __typename } }', n, name);
    await made('mutation ($name: String!) { createLeaderboard(input: { slug: "bad-0N", name: $name }) { __typename } }', n, name);
    await made('mutation ($name: String!) { createApiKey(input: { name: $name, scopes: [SCORES] }) { __typename } }', n, name.slice(0, 100));
    await made('mutation ($name: String!) { renameMe(displayName: $name) { __typename } }', n, name.slice(0, 64));
    await made('mutation ($name: String!) { register(input: { email: "bad0N@example.com", password: "the phrase of somebody", displayName: $name }) { __typename } }', n, name.slice(0, 64), 'omit');
  }
  await made('mutation ($name: String!) { createProduct(input: { sku: "bad-long", name: $name, price: { amount: "1", currency: "USD" } }) { __typename } }', 9, 'x'.repeat(10_000));

  await page.reload();
  await looked('Overview');
  await looked('Products', 'bad-00');
  await page.getByRole('row', { name: 'bad-00' }).getByRole('button', { name: /^Edit / }).click();
  await page.getByRole('dialog').waitFor();
  seen.edited = await page.getByLabel('Name').inputValue();
  await noted('an edited product');
  await page.getByRole('button', { name: 'Cancel' }).click();

  // Files whose names, columns and values are hostile: one is looked at and imported, and fails.
  for (const [n, name] of [...NAMES, 'y'.repeat(200)].entries()) {
    if (n) await open('Products');
    await page.getByRole('button', { name: 'Import a file' }).click();
    const text = `sku,name,price,${OUT.replaceAll('"', '')}\n"${MARK.replaceAll('"', '""')}","${OUT.replaceAll('"', '""')}",${MARK.replaceAll('"', '')},x\n`;
    await page.locator('input[type=file]').setInputFiles({ name: `${name.replaceAll('/', '')}.csv`, mimeType: 'text/csv', buffer: Buffer.from(text) });
    await page.getByRole('button', { name: 'Look' }).click();
    await page.getByRole('button', { name: 'Import it' }).waitFor();
    if (!n) await noted('a preview');
    await page.getByRole('button', { name: 'Import it' }).click();
    await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
  }
  await page.getByText('failed').nth(3).waitFor();
  await noted('Jobs');
  await page.getByRole('button', { name: /^Discard / }).first().click();
  await noted('a question');
  await page.getByRole('button', { name: 'Cancel' }).last().click();

  await looked('Categories', MARK);
  await looked('Boards');
  await looked('API keys', MARK);
  await open('Users');
  for (const n of [1, 3, 0]) {
    await page.getByLabel('Email').fill(`bad0${n}@example.com`);
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByText(`bad0${n}@example.com`).waitFor();
    await noted('Users');
  }

  // Asks as the admin, in the page; `N` is the number of the name.
  async function made(query, n, name, credentials = 'same-origin') {
    const told = await page.evaluate(([body, way]) => fetch('/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body, credentials: way }).then((answer) => answer.text()), [
      JSON.stringify({ query: query.replace('0N', `0${n}`), variables: { name } }), credentials]);
    if (/"errors"|InvalidInput/.test(told)) seen.refused.push(`${/\) \{ (\w+)/.exec(query)[1]} ${n}`);
  }

  async function looked(section, text = null) {
    await open(section);
    if (text) await page.getByText(text).first().waitFor();
    await noted(section);
  }

  async function open(section) {
    await page.getByRole('link', { name: section }).click();
    await page.getByRole('heading', { level: 1, name: section }).waitFor();
  }

  // What the page shows, and whether it stays within a desk's screen and a telephone's.
  async function noted(name) {
    seen.shown[name] = await page.locator('body').innerText();
    const found = await page.evaluate(() => ({ ran: window.ran, broken: window.broken, foreign: document.querySelectorAll('img, svg[onload], main script, dialog script').length }));
    if (found.ran || found.foreign) seen.ran = name;
    seen.errors.push(...found.broken);
    for (const width of [1200, 400]) {
      await page.setViewportSize({ width, height: 900 });
      seen.widths[`${name} ${width}`] = (await page.evaluate(() => document.documentElement.scrollWidth)) - width;
      if (shots) await page.screenshot({ path: path.join(shots, `hostile-${name}-${width}.png`) });
    }
    await page.setViewportSize({ width: 1200, height: 900 });
  }
} finally {
  await close();
}
console.log(JSON.stringify(seen));
