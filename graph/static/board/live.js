// Follows a live query of the server that this page comes from, by an EventSource of the browser: `show` gets its data,
// now and whenever it has changed, and `say` what is wrong, or nothing. While the page is hidden nothing is followed: a
// browser opens six connections to a server, for all of its tabs. Returns a function that ends it.
const endpoint = new URL('../../graphql', import.meta.url);
const [SOONEST, LATEST] = [1000, 60_000]; // milliseconds until what was ended or refused is asked for again

export function live(query, variables, show, say) {
  const address = new URL(endpoint);
  address.search = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  let events;
  let timer;
  let failures = 0;

  function begin() {
    end();
    if (document.hidden) return;
    const opened = events = new EventSource(address);
    opened.addEventListener('next', ({ data }) => {
      const { data: shown, errors } = JSON.parse(data);
      if (errors) {
        say(errors[0].message);
      } else {
        failures = 0;
        say('');
        show(shown);
      }
    });
    opened.addEventListener('complete', again); // refused, or the session has ended: it goes on without, or with a new one
    opened.addEventListener('error', () => {
      say('reconnecting');
      if (opened.readyState === EventSource.CLOSED) again(); // else the browser connects again by itself
    });
  }

  function again() {
    end();
    timer = setTimeout(begin, Math.min(LATEST, SOONEST * 2 ** failures) * (0.5 + Math.random() / 2));
    failures += 1;
  }

  function end() {
    clearTimeout(timer);
    events?.close();
  }

  function turned() {
    if (document.hidden) end();
    else begin();
  }

  document.addEventListener('visibilitychange', turned);
  begin();
  return () => {
    end();
    document.removeEventListener('visibilitychange', turned);
  };
}
