// Runs a script in a page of the server at the URL given, in headless Chromium: node page.mjs URL FILE.
// Prints what the script logs; prompts are answered by the variables EMAIL and PASSWORD. It ends with the second line.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [url, file] = process.argv.slice(2);
const { browser, close } = await launch(chromium);
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
  await close();
}
process.exit(0);
