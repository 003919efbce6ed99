// Opens the pages of examples/live in headless Chromium: node live.mjs SERVER PAGES [SCREENSHOT-FOLDER]. TOKEN is an
// ADMIN's. Prints a line "restart" and waits for a line on its input when the server is to be restarted; at last what it
// saw, as one JSON object.
import { once } from 'node:events';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [server, pages, shots] = process.argv.slice(2);
const seen = { errors: [] };
const { browser, close } = await launch(chromium, { viewport: { width: 900, height: 800 } });
browser.setDefaultTimeout(120_000);
try {
  const storefront = await open('storefront.html');
  const board = await open('board.html');
  await storefront.locator('tr').nth(11).waitFor();
  await board.locator('tr').nth(9).waitFor();

  await change('0.11', 9_000_001);
  await shot('1-changed');

  for (const page of [storefront, board]) {
    await page.reload();
    await page.locator('tr').nth(9).waitFor();
  }
  await change('0.12', 9_000_002);

  console.log('restart');
  await once(process.stdin, 'data');
  process.stdin.pause();
  await change('0.13', 9_000_003);
  seen.states = [await storefront.locator('#state').innerText(), await board.locator('#state').innerText()];

  await storefront.setViewportSize({ width: 400, height: 800 });
  await board.setViewportSize({ width: 400, height: 800 });
  seen.widths = await Promise.all([storefront, board].map((page) => page.evaluate(() => document.documentElement.scrollWidth)));
  await shot('2-phone');

  // Makes a product of the storefront the cheapest, and the caller the best player; waits until the pages show it.
  async function change(price, score) {
    const { products } = await ask('{ products(first: 2, sort: PRICE_ASC, filter: { inStock: true }) { nodes { id name } } }');
    const { id, name } = products.nodes[1];
    await ask(
      'mutation ($id: ID!, $price: MoneyInput!) { updateProduct(input: { id: $id, price: $price }) { __typename ... on Product { id } } }',
      { id, price: { amount: price, currency: 'EUR' } },
    );
    await storefront.locator('tr', { hasText: name }).filter({ hasText: `${price} EUR` }).waitFor();
    await ask(
      'mutation ($score: Float!) { submitScore(input: { board: "all-time", score: $score }) { __typename } }', { score },
    );
    await board.locator('tr').first().filter({ hasText: String(score) }).waitFor();
  }

  async function shot(name) {
    if (!shots) return;
    await storefront.screenshot({ path: path.join(shots, `${name}-storefront.png`) });
    await board.screenshot({ path: path.join(shots, `${name}-board.png`) });
  }
} finally {
  await close();
}
console.log(JSON.stringify(seen));

// The first answer is an error with a code that the page does not know: it asks again.
async function open(name) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  const errors = [{ message: 'Something new', extensions: { code: 'SOMETHING_NEW' } }];
  await page.route(`${server}/graphql?*`, (route) => route.fulfill({
    headers: { 'content-type': 'text/event-stream', 'access-control-allow-origin': '*' },
    body: `event: next\ndata: ${JSON.stringify({ errors })}\n\nevent: complete\ndata: \n\n`,
  }), { times: 1 });
  await page.goto(`${pages}/${name}?server=${encodeURIComponent(server)}`);
  return page;
}

async function ask(query, variables) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${process.env.TOKEN}` };
  const answer = await fetch(`${server}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}
