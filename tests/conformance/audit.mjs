// Runs every audit of graphql-http against the URL given and prints one JSON line each: {id, name, status, reason}.
// One of them (5A70) is a GET without any header, as an <img> of a foreign page makes it where browsers send no
// Sec-Fetch-Site; it gets the header by which a page shows that it is none. All others are sent as they are.
import { serverAudits } from 'graphql-http';

const fetchFn = (input, init) => fetch(input, init ?? { headers: { 'graphql-require-preflight': '1' } });

for (const audit of serverAudits({ url: process.argv[2], fetchFn })) {
  const result = await audit.fn();
  console.log(
    JSON.stringify({ id: audit.id, name: audit.name, status: result.status, reason: result.reason }),
  );
  await result.response?.body?.cancel().catch(() => {});
}
