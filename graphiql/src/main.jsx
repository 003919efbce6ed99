// GraphiQL for this server: same origin, cookies sent, subscriptions and live queries over graphql-transport-ws.
import './workers.js';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createClient } from 'graphql-ws';
import { createRoot } from 'react-dom/client';
import { logged } from './events.js';
import { LinkedOperation, opening } from './link.jsx';
import { shown } from './live.js';
import { safeStorage } from './secrets.js';
import { createStatus, Status } from './status.jsx';
import { tabs } from './tabs.js';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import './page.css';

// The endpoint is where the page is, under whatever path a proxy has put it.
const url = new URL(location.pathname, location.href);
const socketUrl = new URL(url);
socketUrl.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';

// One connection a subscription: its `connection_init` carries the headers of the tab that started it, and a login or
// logout made in between (the cookie) counts from the next subscription on.
function subscribe(headers) {
  const authorization = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'authorization')?.[1];
  return createClient({
    url: socketUrl.href,
    lazy: true,
    retryAttempts: 3,
    connectionParams: authorization ? { authorization } : undefined,
  });
}

const status = createStatus(url.href);
const overHttp = createGraphiQLFetcher({ url: url.href, fetch: status.fetch });

function fetcher(params, options) {
  const operation = chosen(params, options);
  const live = operation?.directives?.some((one) => one.name.value === 'live');
  if (!live && operation?.operation !== 'subscription') return overHttp(params, options);
  const answers = subscribe(options?.headers).iterate(params);
  setTimeout(status.budget, 1000); // it is charged, too, and no header tells
  return logged(answers, live ? shown() : undefined);
}

function chosen(params, options) {
  const operations = options?.documentAST?.definitions.filter((node) => node.kind === 'OperationDefinition') ?? [];
  return operations.find((node) => node.name?.value === params.operationName) ?? operations[0];
}

const storage = safeStorage();
const opened = opening(location.search, storage, tabs);

// What is picked from the history is shown from its first line, wherever the editor stood before.
document.addEventListener('click', (event) => {
  if (!event.target.closest?.('.graphiql-history-item-label')) return;
  setTimeout(async () => {
    const { editor } = await import('monaco-graphql/esm/monaco-editor.js'); // loaded by GraphiQL already
    for (const one of editor.getEditors()) one.setScrollPosition({ scrollTop: 0, scrollLeft: 0 });
  });
});

status.viewer();

createRoot(document.getElementById('graphiql')).render(
  <>
    <Status />
    <GraphiQL
      fetcher={fetcher}
      storage={storage}
      defaultTabs={tabs}
      initialQuery={opened?.query}
      initialVariables={opened?.variables}
      plugins={[HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })]}
      shouldPersistHeaders={false}
      defaultEditorToolsVisibility="variables"
    >
      <GraphiQL.Logo>
        <LinkedOperation name={opened?.operationName} />
      </GraphiQL.Logo>
    </GraphiQL>
  </>,
);
