// Takes the pictures of README.md and docs/ in headless Chromium: node pictures.mjs URL FOLDER. ADMIN_PASSWORD and
// PLAYER_PASSWORD are those of admin@example.com and ada@example.com. The names are in harness/pictures.py.
import path from 'node:path';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [url, folder] = process.argv.slice(2);
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { ... on AuthPayload { user { displayName } } } }';
const QUERY = `query Storefront @live {
  products(first: 3, sort: PRICE_ASC) {
    nodes {
      name
      price { amount currency }
      stock
    }
    totalCount
  }
}
`;

const { browser, close } = await launch(chromium, { viewport: { width: 900, height: 640 }, reducedMotion: 'reduce' });
browser.setDefaultTimeout(60_000);
try {
  const page = await browser.newPage();
  await page.goto(`${url}/board/nothing`);
  await signIn('ada@example.com', process.env.PLAYER_PASSWORD);
  await page.goto(`${url}/board/all-time`);
  await page.getByText('live', { exact: true }).waitFor();
  await page.locator('#top tr[aria-current]').waitFor();
  await taken('board');

  await page.setViewportSize({ width: 1200, height: 700 });
  await page.goto(`${url}/graphql?query=${encodeURIComponent(QUERY)}`);
  await page.locator('.graphiql-query-editor .view-lines').getByText('Storefront').waitFor();
  await page.locator('button.graphiql-execute-button[aria-label^="Execute"]').click();
  await page.locator('.graphiql-response .view-lines').getByText('"received": 1').waitFor();
  await taken('graphiql');

  await signIn('admin@example.com', process.env.ADMIN_PASSWORD);
  await page.goto(`${url}/console`);
  await page.getByRole('navigation').waitFor();
  const shop = await browser.newPage();
  await shop.goto(`${url}/board/all-time`);
  await shop.evaluate((query) => {
    const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) };
    setInterval(() => fetch('/graphql', options), 40);
  }, QUERY.replace(' @live', ''));
  await page.getByRole('row').filter({ hasText: 'Storefront' }).waitFor();
  await page.waitForFunction(() => document.querySelector('polyline').points.length >= 12);
  await taken('console');

  async function signIn(email, password) {
    await page.evaluate(async (body) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await (await fetch('/graphql', { method: 'POST', headers, body })).json();
      if (!answer.data?.login?.user) throw new Error(JSON.stringify(answer));
    }, JSON.stringify({ query: LOGIN, variables: { input: { email, password } } }));
  }

  async function taken(name) {
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
  }
} finally {
  await close();
}
