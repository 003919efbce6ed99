// Shows each answer to a live query: `show` gets its data, now and whenever it has changed.
const server = new URLSearchParams(location.search).get('server') ?? 'http://127.0.0.1:8000';

function live(query, variables, show) {
  const parameters = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const events = new EventSource(`${server}/graphql?${parameters}`);
  const state = document.querySelector('#state');
  events.addEventListener('open', () => { state.textContent = 'live'; });
  events.addEventListener('error', () => { state.textContent = 'reconnecting'; });
  events.addEventListener('next', ({ data }) => {
    const { data: shown, errors } = JSON.parse(data);
    if (errors) state.textContent = errors[0].message;
    else show(shown);
  });
  events.addEventListener('complete', () => events.close());
  return events;
}

// Fills the rows of a table; text only, so that no product can put markup into the page.
function rows(table, cells) {
  table.replaceChildren(...cells.map((row) => {
    const line = document.createElement('tr');
    line.append(...row.map((text) => Object.assign(document.createElement('td'), { textContent: text })));
    return line;
  }));
}
