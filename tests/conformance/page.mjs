// Runs a script in a page of the server at the URL given, in headless Chromium: node page.mjs URL FILE.
// Prints what the script logs; prompts are answered by the variables EMAIL and PASSWORD. It ends with the second line.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const [url, file] = process.argv.slice(2);
const profile = mkdtempSync(path.join(tmpdir(), 'page-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  ],
});
try {
  const page = await browser.newPage();
  await new Promise((resolve, reject) => {
    let lines = 0;
    page.setDefaultTimeout(120_000);
    page.on('pageerror', reject);
    page.on('dialog', (dialog) => dialog.accept(process.env[dialog.message().toUpperCase()]));
    page.on('console', (message) => {
      if (message.type() !== 'log') return; // the browser's own: this page has no icon
      console.log(message.text());
      lines += 1;
      if (lines === 2) resolve();
    });
    page.goto(url).then(() => page.addScriptTag({ content: readFileSync(file, 'utf8') })).catch(reject);
  });
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
process.exit(0);
