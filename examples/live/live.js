// Shows each answer to a live query: `show` gets its data, now and whenever it has changed.
const server = new URLSearchParams(location.search).get('server') ?? 'http://127.0.0.1:8000';
const [SOONEST, LATEST] = [1000, 60_000]; // milliseconds until a query that was ended or refused is sent again
const OURS = ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT', 'CANNOT_BE_LIVE', 'TOO_COMPLEX'];
// What is wrong with the query itself stays wrong; anything else, an unknown code too, may be over the next time.

function live(query, variables, show) {
  const parameters = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const state = document.querySelector('#state');
  let pause = SOONEST;
  let stays = true;
  const say = (text) => {
    state.textContent = text;
    document.body.classList.toggle('stale', text !== 'live'); // what is shown may be old
  };

  (function follow() {
    const events = new EventSource(`${server}/graphql?${parameters}`);
    const again = () => {
      events.close();
      if (!stays) return;
      setTimeout(follow, pause * (0.5 + Math.random() / 2)); // not all clients at once
      pause = Math.min(2 * pause, LATEST);
    };
    events.addEventListener('next', ({ data }) => {
      const { data: shown, errors } = JSON.parse(data);
      say(errors ? errors[0].message : 'live');
      if (shown) {
        pause = SOONEST;
        show(shown);
      } else {
        const { code, retryAfter = 0 } = errors[0].extensions ?? {};
        stays = !OURS.includes(code);
        pause = Math.max(pause, 2000 * retryAfter);
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
