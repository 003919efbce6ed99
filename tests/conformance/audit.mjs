// Runs every audit of graphql-http against the URL given and prints one JSON line each: {id, name, status, reason}.
// A GET carries the header that the endpoint asks of GETs, so that no foreign page can have made it (CSRF).
import { serverAudits } from 'graphql-http';

const url = process.argv[2];
const fetchFn = (input, init = {}) => {
  const get = (init.method ?? 'GET') === 'GET';
  return fetch(input, get ? { ...init, headers: { ...init.headers, 'graphql-require-preflight': '1' } } : init);
};

for (const audit of serverAudits({ url, fetchFn })) {
  const result = await audit.fn();
  console.log(
    JSON.stringify({ id: audit.id, name: audit.name, status: result.status, reason: result.reason }),
  );
  await result.response?.body?.cancel().catch(() => {});
}
