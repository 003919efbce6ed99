// Shows each answer to a live query: `show` gets its data, now and whenever it has changed.
const server = new URLSearchParams(location.search).get('server') ?? 'http://127.0.0.1:8000';
const AGAIN = 5000; // milliseconds until a query is sent again that was ended, or whose answer was no stream

function live(query, variables, show) {
  const parameters = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const state = document.querySelector('#state');
  let stays = true;
  const say = (text) => {
    state.textContent = text;
    document.body.classList.toggle('stale', text !== 'live'); // what is shown may be old
  };

  (function follow() {
    const events = new EventSource(`${server}/graphql?${parameters}`);
    const again = () => {
      events.close();
      if (stays) setTimeout(follow, AGAIN);
    };
    events.addEventListener('next', ({ data }) => {
      const { data: shown, errors } = JSON.parse(data);
      if (errors) {
        say(errors[0].message);
        stays = ['UNAVAILABLE', 'RATE_LIMITED', 'TOO_MANY_OPERATIONS'].includes(errors[0].extensions?.code);
      } else {
        say('live');
        show(shown);
      }
    });
    events.addEventListener('complete', again);
    events.addEventListener('error', () => {
      say('reconnecting');
      if (events.readyState === EventSource.CLOSED) again(); // else the browser connects again by itself
    });
  })();
}

// Fills the rows of a table, of which the first cell is the name; text only, so that no product can put markup into the
// page. A row that differs from that of its name before lights up.
function rows(table, cells) {
  const before = new Map([...table.rows].map((line) => [line.dataset.name, line.textContent]));
  table.replaceChildren(...cells.map((row) => {
    const line = document.createElement('tr');
    line.dataset.name = row[0];
    line.append(...row.map((text) => Object.assign(document.createElement('td'), { textContent: text })));
    if (before.size && before.get(row[0]) !== line.textContent) line.className = 'changed';
    return line;
  }));
}
