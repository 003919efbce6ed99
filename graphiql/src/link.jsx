// A link, ?query=…&variables=…&operationName=…, states a whole tab: what it leaves out is empty there, whatever the tab
// had that was open last. It opens as a tab beside the others, unless one of them says the same.
import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useRef } from 'react';

const TABS = 'graphiql:tabState';

const made = ({ query, variables = '' }) => ({
  id: String(Math.random()),
  title: query.match(/^(?!#).*(?:query|subscription|mutation)\s+(\w+)/m)[1],
  query,
  variables,
  headers: null,
  operationName: null,
  response: null,
});

// What the page opens with: what a link in `search` asks for, else the tab that was open last (GraphiQL itself would show
// the text that was edited last); null on a visitor's first page. By a link that has those of `defaults` beside its own.
export function opening(search, storage, defaults) {
  const link = new URLSearchParams(search);
  const query = link.get('query');
  if (!query) return lastTab(storage);
  if (!storage.getItem(TABS)) storage.setItem(TABS, JSON.stringify({ tabs: defaults.map(made), activeTabIndex: 0 }));
  return { query, variables: link.get('variables') ?? '', operationName: link.get('operationName') };
}

function lastTab(storage) {
  try {
    const { tabs, activeTabIndex } = JSON.parse(storage.getItem(TABS));
    const { query, variables, operationName } = tabs[activeTabIndex];
    return { query: query ?? '', variables: variables ?? '', operationName };
  } catch {
    return null;
  }
}

// Chooses the operation called `name`, once GraphiQL has found it in the document.
export function LinkedOperation({ name }) {
  const operations = useGraphiQL((state) => state.operations);
  const { setOperationName } = useGraphiQLActions();
  const due = useRef(name);
  useEffect(() => {
    if (!due.current || !operations?.some((one) => one.name?.value === due.current)) return;
    setOperationName(due.current);
    due.current = null;
  }, [operations, setOperationName]);
  return <span />;
}
