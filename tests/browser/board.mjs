// Opens the page of a board in headless Chromium: node board.mjs URL [SCREENSHOT-FOLDER]. Prints a line "restart" and waits
// for a line on its input when the server is to be restarted; at last what it saw, as one JSON object.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [url, shots] = process.argv.slice(2);
const seen = { requests: [], errors: [], violations: {}, widths: {} };
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const REGISTER = `mutation ($input: RegisterInput!) {
  register(input: $input) { ... on AuthPayload { user { displayName } } }
}`;
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { ... on AuthPayload { user { displayName } } } }';
const SUBMIT = `mutation ($score: Float!) {
  submitScore(input: { board: "all-time", score: $score }) { __typename }
}`;

const { browser, close } = await launch(chromium, { viewport: { width: 900, height: 1300 } });
browser.setDefaultTimeout(120_000);
try {
  const page = await browser.newPage();
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  const top = page.getByRole('region', { name: 'The best players' });
  const near = page.getByRole('region', { name: 'Players around you' });

  // There is no such board: the page says so, and has no script.
  const missing = await page.goto(`${url}/board/nothing`);
  seen.missing = [missing.status(), await page.getByRole('heading', { level: 1 }).innerText()];
  await checked('unknown');

  // Nobody is signed in.
  await page.goto(`${url}/board/all-time`);
  await top.getByRole('row').nth(20).waitFor();
  await page.getByText('live', { exact: true }).waitFor();
  seen.rows = await top.getByRole('row').count();
  seen.place = await page.locator('#place').innerText();

  // Somebody plays, somewhere else in this browser: without a score, with a low one, with the best one.
  const game = await browser.newPage();
  await game.goto(`${url}/board/nothing`);
  const input = { email: 'board@example.com', password: 'the phrase of a player', displayName: 'Ada <b>' };
  seen.player = (await ask(REGISTER, { input })).register.user.displayName;
  await page.reload();
  await page.getByText('You have no score here yet.').waitFor();
  await ask(SUBMIT, { score: 1 });
  await near.getByRole('row').filter({ hasText: 'Ada <b>' }).waitFor();
  await checked('place');
  await ask(SUBMIT, { score: 9_000_001.5 });
  await page.getByRole('heading', { name: 'Your place: 1', exact: true }).waitFor();
  await top.getByRole('row').nth(1).filter({ hasText: '9,000,001.5' }).waitFor();
  await top.locator('tr[aria-current]').waitFor();
  await checked('first');

  // The server is killed and starts again.
  console.log('restart');
  await once(process.stdin, 'data');
  process.stdin.pause();
  await ask(LOGIN, { input: { email: input.email, password: input.password } }); // the session may be lost; if not, it ends with this
  await ask(SUBMIT, { score: 9_000_002 });
  await top.getByRole('row').nth(1).filter({ hasText: '9,000,002' }).waitFor();
  await page.getByText('live', { exact: true }).waitFor();

  // Asks again, as any client would, while something is away.
  async function ask(query, variables) {
    return game.evaluate(async (body) => {
      const headers = { 'content-type': 'application/json' };
      for (;;) {
        const response = await fetch('/graphql', { method: 'POST', headers, body });
        const answer = await response.json();
        if (!answer.errors) return answer.data;
        if (answer.errors[0].extensions.code !== 'UNAVAILABLE') throw new Error(answer.errors[0].message);
        await new Promise((resume) => setTimeout(resume, 1000 * response.headers.get('retry-after')));
      }
    }, JSON.stringify({ query, variables }));
  }

  // What axe finds of `name`, in the light and in the dark; and how wide it is on a telephone.
  async function checked(name) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
      seen.violations[`${name} ${colorScheme}`] = violations.map((one) => `${one.id}: ${one.nodes[0].html}`);
      await shot(`${name}-${colorScheme}`);
    }
    await page.setViewportSize({ width: 400, height: 800 });
    seen.widths[name] = await page.evaluate(() => document.documentElement.scrollWidth);
    await shot(`${name}-phone`);
    await page.setViewportSize({ width: 900, height: 1300 });
    await page.emulateMedia({ colorScheme: 'light' });
  }

  async function shot(name) {
    if (shots) await page.screenshot({ path: path.join(shots, `board-${name}.png`) });
  }
} finally {
  await close();
}
console.log(JSON.stringify(seen));
