// API keys: make one (it is shown once), revoke one.
import { h, moment, table } from '../common/dom.js';
import { confirm, dialog, expected, field, form, tick } from './forms.js';

export const title = 'API keys';

const KEYS = 'query ConsoleKeys { apiKeys { id name scopes operationsPerMinute createdAt lastUsedAt } }';
const CREATE = `mutation ConsoleCreateKey($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  __typename ... on ApiKeyCreated { key } ... on InvalidInput { field } ... on UserError { code message }
} }`;
const REVOKE = 'mutation ConsoleRevokeKey($id: ID!) { revokeApiKey(id: $id) }';

export async function show(page) {
  const list = h('div', {});
  page.root.append(h('div', { class: 'row' }, h('button', { type: 'button', class: 'main', onclick: create }, 'New key')), list);
  await read();

  async function read() {
    const { apiKeys } = await page.ask(KEYS);
    list.replaceChildren(table('API keys', ['Name', 'Scopes', ['Per minute', 'number wide'], ['Made', 'wide'], 'Last used', ''], apiKeys.map((key) => [
      key.name, key.scopes.join(', '), key.operationsPerMinute, moment(key.createdAt), moment(key.lastUsedAt),
      h('button', { type: 'button', class: 'danger', 'aria-label': `Revoke ${key.name}`, onclick: () => revoke(key) }, 'Revoke'),
    ]), 'There are no keys.'));
  }

  function create() {
    dialog('New API key', (close) => form([
      field('What it is for', 'name', { required: true, maxLength: 100 }),
      h('fieldset', {}, h('legend', {}, 'What it may do'),
        tick('Submit and remove scores of any player', 'scopes', false, 'SCORES'),
        tick('Make and delete leaderboards', 'scopes', false, 'BOARDS'),
        tick('Change and import products', 'scopes', false, 'CATALOG')),
      field('Operations a minute', 'operationsPerMinute', { type: 'number', min: 1, max: 100000, value: '1000', required: true }),
    ], 'Make it', async ({ name, scopes, operationsPerMinute }) => {
      const input = { name, scopes, operationsPerMinute: Number(operationsPerMinute) };
      const { key } = expected((await page.ask(CREATE, { input })).createApiKey);
      close();
      dialog('The new key', (done) => [
        h('p', {}, 'Copy it now: it is shown here and never again.'),
        h('code', { class: 'secret' }, key),
        h('p', { class: 'actions' },
          h('button', { type: 'button', class: 'main', onclick: done }, 'Done'),
          navigator.clipboard && h('button', { type: 'button', onclick: () => page.run(() => navigator.clipboard.writeText(key).then(() => page.say('Copied.'))) }, 'Copy')),
      ]);
      await read();
    }, h('button', { type: 'button', onclick: close }, 'Cancel')));
  }

  function revoke({ id, name }) {
    confirm('Revoke a key', `Programs that use “${name}” are refused at once. That cannot be undone.`, 'Revoke', async () => {
      await page.ask(REVOKE, { id });
      page.say(`“${name}” is revoked.`);
      await read();
    });
  }
}
