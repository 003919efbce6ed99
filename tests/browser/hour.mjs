// Leaves the console open for as many updates as come in an hour: node hour.mjs URL. Prints what the page held after each
// third of them, as JSON. ADMIN_PASSWORD is an admin's. The updates are the server's own frames, sent to the page again
// and again with other figures, so that an hour takes seconds.
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [url] = process.argv.slice(2);
const UPDATES = 400; // of each of three sections, in each third
const BURST = 40; // sent before the page is waited for

const { browser, close } = await launch(chromium, { viewport: { width: 1200, height: 900 } });
browser.setDefaultTimeout(120_000);
try {
  const page = await browser.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  const latest = {}; // what the server sent last, by the field that is followed
  let toPage;
  let following; // the id of what the page asked for last
  let driving = false; // then the page gets none of the server's results, which would show other figures
  await page.routeWebSocket(/graphql/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { type, id } = JSON.parse(text);
      if (type === 'subscribe') following = id;
      server.send(text);
    });
    toPage = (message) => socket.send(JSON.stringify(message));
    server.onMessage((text) => {
      const message = JSON.parse(text);
      const result = message.type === 'next' && message.payload.data;
      if (result && message.id === following) latest[Object.keys(result)[0]] = message;
      if (!result || !driving) socket.send(text);
    });
  });
  await page.goto(`${url}/console`);
  await page.getByLabel('Email').fill('admin@example.com');
  await page.getByLabel('Password').fill(process.env.ADMIN_PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'Engines' }).waitFor();

  const tools = await browser.newCDPSession(page);
  const seen = { updates: 0, sizes: [], errors };
  let figure = 1_000_000; // what shows that the page has come so far: no figure of the server's is as large
  for (let third = 0; third < 4; third += 1) { // the first one warms up
    await section('Overview', 'serverChanged', (state) => {
      state.sockets = figure;
      state.requestsPerSecond = figure % 97;
      state.operations = Array.from({ length: 1 + (figure % 20) }, (_, n) => ({ name: `Operation${n}`, perSecond: n, errorsPerSecond: figure % 3, p50: 0.001, p99: 0.01 }));
      state.refusals = figure % 2 ? [{ code: 'RATE_LIMITED', perSecond: figure % 7 }] : [];
      state.fleet = Array.from({ length: 1 + (figure % 5) }, (_, n) => ({ ...state.fleet[0], pid: n, heardSecondsAgo: figure % 12 }));
    });
    await section('Jobs', 'jobsChanged', () => Array.from({ length: 30 }, (_, n) => ({
      id: `job-${n}`, name: 'import', state: ['QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED'][(figure + n) % 4], done: figure % 100,
      total: n % 2 ? 100 : null, error: n % 5 ? null : 'no such file', createdAt: '2026-01-01T00:00:00Z', file: n % 3 ? `${n}.csv` : null, seconds: n, attempts: figure,
    })));
    await section('Boards', 'leaderboardChanged', (board) => {
      board.entries = Array.from({ length: 20 }, (_, n) => ({
        rank: n + 1, score: figure - n, achievedAt: '2026-01-01T00:00:00Z', player: { id: `p-${(figure + n) % 40}`, displayName: `Player ${(figure + n) % 40}` },
      }));
    });
    await open('Overview');
    await page.getByRole('region', { name: 'Engines' }).waitFor();
    seen.sizes.push(await size());
  }
  seen.sizes.shift();
  console.log(JSON.stringify(seen));

  // Sends the frame of `field` again and again, each time as `change` makes it, and waits until the page shows the last.
  async function section(name, field, change) {
    delete latest[field];
    await open(name);
    while (!latest[field]) await page.waitForTimeout(5);
    driving = true;
    const frame = latest[field];
    for (let sent = 0; sent < UPDATES; sent += BURST) {
      for (let n = 0; n < BURST; n += 1) {
        figure += 1;
        const message = structuredClone(frame);
        message.payload.data[field] = change(message.payload.data[field]) ?? message.payload.data[field];
        toPage(message);
        seen.updates += 1;
      }
      await page.locator('main').getByText(figure.toLocaleString('en')).first().waitFor();
    }
    driving = false;
  }

  async function open(name) {
    await page.getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
  }

  // What the page holds once nothing is left to collect.
  async function size() {
    await tools.send('HeapProfiler.collectGarbage');
    await tools.send('HeapProfiler.collectGarbage');
    const { nodes, jsEventListeners: listeners } = await tools.send('Memory.getDOMCounters');
    const { usedSize: bytes } = await tools.send('Runtime.getHeapUsage');
    return { nodes, listeners, bytes };
  }
} finally {
  await close();
}
