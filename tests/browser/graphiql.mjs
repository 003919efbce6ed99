// Drives GraphiQL in headless Chromium: node graphiql.mjs URL [SCREENSHOT-FOLDER]. Prints what it saw as one JSON object.
// Only 127.0.0.1 resolves, and every request is recorded, so that nothing can come from anywhere else unseen.
import path from 'node:path';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [url, shots] = process.argv.slice(2);
const seen = { requests: [], failures: [], errors: [] };

const { browser, close } = await launch(chromium, { viewport: { width: 1400, height: 900 } });
try {
  const page = await open(url);
  await shot(page, '1-loaded');

  seen.catalog = await run(page);
  await shot(page, '2-answer');

  await page.click('[aria-label="Show Documentation Explorer"]');
  await page.getByText('All Schema Types').waitFor();
  seen.docs = await page.locator('.graphiql-doc-explorer-content').innerText();
  await shot(page, '3-docs');

  await page.click('[aria-label="Show GraphiQL Explorer"]');
  await page.locator('.docExplorerWrap').waitFor();
  seen.explorer = await page.locator('.docExplorerWrap').innerText();
  await shot(page, '4-explorer');

  await page.getByText('SignIn', { exact: true }).click();
  await page.locator('.graphiql-editor-tool:visible').getByText('"password"').waitFor();
  seen.variables = await page.locator('.graphiql-editor-tool:visible').innerText();
  await shot(page, '6-sign-in');

  const linked = await open(`${url}?query=${encodeURIComponent('query Linked { __typename }')}`);
  seen.linked = await run(linked);

  const bad = await open(`${url}?query=${encodeURIComponent('{ nothing }')}`);
  seen.refused = await run(bad);

  const login = await open(`${url}?${new URLSearchParams({
    query: 'mutation In($input: LoginInput!) { login(input: $input) { __typename } }',
    variables: JSON.stringify({ input: { email: 'admin@example.com', password: process.env.ADMIN_PASSWORD } }),
  })}`);
  seen.login = await run(login);
  await login.locator('.status .who').getByText('ADMIN').waitFor();
  seen.status = await login.locator('.status').innerText();
  const literal = await open(`${url}?query=${encodeURIComponent(`mutation Lit($word: String!) {
    a: login(input: { email: "admin@example.com", password: "${process.env.ADMIN_PASSWORD}" }) { __typename }
    b: login(input: { email: "nobody@example.com", password: $word }) { __typename }
  }`)}&variables=${encodeURIComponent(JSON.stringify({ word: process.env.ADMIN_PASSWORD }))}`);
  seen.literal = await run(literal);

  // A link states the whole tab: none of the variables of the tab before it, and the operation that it names.
  const stated = await open(`${url}?${new URLSearchParams({
    query: 'query One { one: __typename } query Two { two: __typename }', operationName: 'Two',
  })}`);
  await stated.getByRole('button', { name: 'Headers' }).click();
  await stated.locator('.graphiql-editor-tool .view-lines:visible').click();
  await stated.keyboard.insertText('{"X-Note": "for-nobody-else"}');
  const noted = stated.waitForRequest((request) => request.headers()['x-note'] === 'for-nobody-else');
  seen.stated = await run(stated, () => stated.keyboard.press('Control+Enter'));
  const sent = (await noted).postDataJSON();
  seen.sent = [sent.operationName, sent.variables ?? {}];
  await shot(stated, '9-link');
  const kept = (name, text) => literal.waitForFunction(([key, part]) => localStorage.getItem(key)?.includes(part), [`graphiql:${name}`, text]);
  await Promise.all(['tabState', 'queries'].map((one) => kept(one, 'query Two'))); // a moment after they change
  seen.stored = await literal.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  const viewer = await open(`${url}?query=${encodeURIComponent('query Me { viewer { user { email role } } }')}`);
  seen.viewer = await run(viewer);

  const live = await open(`${url}?query=${encodeURIComponent('subscription Live { productChanged { kind product { stock } } }')}`);
  const socket = live.waitForEvent('websocket');
  await live.click('button.graphiql-execute-button');
  seen.socket = (await socket).url();
  const product = seen.catalog.data.products.nodes[0];
  seen.changed = await changeUntilShown(live, product.sku);
  seen.log = await live.locator('.graphiql-response').innerText();
  await shot(live, '5-live');
  await live.close();

  // Live queries, with whole answers and with patches: each shows a change, and stops when it is told to.
  for (const [name, how] of [['whole', ''], ['patched', '(patch: true)']]) {
    const query = `query Storefront @live${how} { product(by: { sku: ${JSON.stringify(product.sku)} }) { name stock } }`;
    const storefront = await open(`${url}?query=${encodeURIComponent(query)}`);
    const connected = storefront.waitForEvent('websocket');
    await storefront.click('button.graphiql-execute-button');
    const answers = await connected;
    const lines = storefront.locator('.graphiql-response .view-lines');
    await lines.getByText('"received": 1').waitFor();
    await setStock(storefront, product.sku, name === 'whole' ? 8001 : 8002);
    await lines.getByText('"received": 2').waitFor();
    seen[name] = (await lines.innerText()).replaceAll('\u00a0', ' ');
    await shot(storefront, `9-live-${name}`);
    const ended = answers.waitForEvent('close');
    await storefront.click('button.graphiql-execute-button');
    await ended;
    await storefront.locator('button.graphiql-execute-button[aria-label^="Execute"]').waitFor();
    await storefront.close();
  }

  // On a telephone: nothing beside the screen, and editor and answer wide enough to be read.
  const phone = await open(`${url}?query=${encodeURIComponent('query Phone { __typename }')}`);
  await phone.setViewportSize({ width: 400, height: 800 });
  await run(phone);
  await shot(phone, '7-phone');
  seen.phone = await phone.evaluate(() => ({
    page: [document.documentElement.scrollWidth, document.documentElement.scrollHeight],
    widths: ['.graphiql-query-editor', '.graphiql-response'].map((one) => document.querySelector(one).getBoundingClientRect().width),
  }));

  // A long history scrolls by itself, and what is picked from it shows from its first line.
  await phone.evaluate(() => {
    const queries = Array.from({ length: 20 }, (_, n) => ({
      query: `query H${n} {\n${'  __typename\n'.repeat(60)}}`, operationName: `H${n}`, variables: '', headers: '',
    }));
    localStorage.setItem('graphiql:queries', JSON.stringify({ queries }));
  });
  const past = await open(url);
  await past.click('[aria-label="Show History"]');
  await past.getByText('H19', { exact: true }).click();
  await past.locator('.graphiql-query-editor .view-lines').getByText('H19').waitFor();
  const top = (await past.locator('.graphiql-query-editor').boundingBox()).y;
  await past.locator('.graphiql-query-editor .monaco-editor').hover();
  await past.mouse.wheel(0, 600);
  await past.locator('.graphiql-query-editor .view-lines').getByText('H19').waitFor({ state: 'hidden' });
  await past.getByText('H0', { exact: true }).click();
  await past.locator('.graphiql-query-editor .view-lines').getByText('H0').waitFor();
  seen.history = [top, (await past.locator('.graphiql-query-editor').boundingBox()).y, await past.evaluate(() => scrollY)];
  await shot(past, '8-history');

  // The first page of a visitor, by a link: it opens beside the tabs that everybody finds.
  // No page may be left that stores its tabs again, a moment after they changed: this one has none.
  const bare = await browser.newPage();
  for (const page of browser.pages()) if (page !== bare) await page.close();
  await bare.goto(new URL('/healthz', url).href);
  await bare.evaluate(() => localStorage.clear());
  const first = await open(`${url}?${new URLSearchParams({ query: 'query Linked { __typename }' })}`);
  seen.tabs = await first.getByRole('tab').allInnerTexts();
  await first.waitForFunction(() => localStorage.getItem('graphiql:tabState')?.includes('query Linked'));
  seen.again = await run(await open(url));
} finally {
  await close();
}
console.log(JSON.stringify(seen));

async function open(address) {
  const page = await browser.newPage();
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('requestfailed', (request) => seen.failures.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', (response) => response.status() >= 400 && response.request().method() === 'GET'
    && seen.failures.push(`${response.url()}: ${response.status()}`));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  // What a refused query answers (a status above 399) the browser calls an error of its own; it is looked at above.
  page.on('console', (message) => message.type() === 'error' && !message.location().url.endsWith('/graphql')
    && seen.errors.push(message.text()));
  await page.goto(address);
  await page.locator('.graphiql-query-editor .monaco-editor').waitFor();
  await page.locator('button.graphiql-execute-button:enabled').waitFor();
  return page;
}

// Runs what stands in the editor; the answer is read off the wire (the editor draws only the lines in view), once it
// has begun to show. On a slow machine the page may still be reading the schema, and what the header tells.
async function run(page, start = () => page.click('button.graphiql-execute-button')) {
  const others = ['query IntrospectionQuery', '{ viewer { user { displayName', '{ rateLimit'];
  const answered = page.waitForResponse((response) => {
    const request = response.request();
    return request.method() === 'POST' && !others.some((one) => request.postDataJSON().query.trim().startsWith(one));
  });
  await start();
  const answer = await (await answered).json();
  await page.locator('.graphiql-response .view-lines').getByText(`"${Object.keys(answer)[0]}"`).waitFor();
  return answer;
}

// Changes the stock until the subscription shows one of the changes: it may begin a moment after the click.
async function changeUntilShown(page, sku) {
  for (let stock = 7000; stock < 7050; stock += 1) {
    await setStock(page, sku, stock);
    await page.waitForTimeout(200);
    const shown = await page.locator('.graphiql-response').innerText();
    if (/70\d\d/.test(shown)) return shown.replaceAll('\u00a0', ' ');
  }
  throw new Error('the subscription shows no change');
}

async function setStock(page, sku, stock) {
  await page.evaluate(async ([code, left]) => {
    const send = async (query, variables) => (await (await fetch('/graphql', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }),
    })).json()).data;
    const { product } = await send('query ($sku: String!) { product(by: { sku: $sku }) { id } }', { sku: code });
    await send(
      'mutation ($id: ID!, $stock: Int!) { updateProduct(input: { id: $id, stock: $stock }) { __typename } }',
      { id: product.id, stock: left },
    );
  }, [sku, stock]);
}

async function shot(page, name) {
  if (shots) await page.screenshot({ path: path.join(shots, `${name}.png`) });
}
