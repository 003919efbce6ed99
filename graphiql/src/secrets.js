// What GraphiQL keeps in the browser (tabs, history) without the passwords in it, and without any header.
// Every text is looked through, also one that is only half typed: JSON of variables, and GraphQL with literals.
const NAME = '(?:password|secret|token)';
const STRING = '"(?:[^"\\\\\\n]|\\\\.)*"?';
const MEMBER = new RegExp(`("[^"\\n]*${NAME}[^"\\n]*"\\s*:\\s*)(?:${STRING}|[^\\s,}\\]"]+)`, 'gi');
const ARGUMENT = new RegExp(`(\\b\\w*${NAME}\\w*\\s*:\\s*)(?:"""[\\s\\S]*?(?:"""|$)|${STRING})`, 'gi');
const VARIABLE = new RegExp(`\\b\\w*${NAME}\\w*\\s*:\\s*\\$(\\w+)`, 'gi');
const NAMED = new RegExp(NAME, 'i');

// Variables that some document passes where a password goes, whatever they are called.
const variables = new Set();

const isSecret = (key) => NAMED.test(key) || variables.has(key);

function text(value) {
  let clean = value.replace(MEMBER, '$1""').replace(ARGUMENT, '$1""');
  for (const name of variables) {
    clean = clean.replace(new RegExp(`("${name}"\\s*:\\s*)(?:${STRING}|[^\\s,}\\]"]+)`, 'g'), '$1""');
  }
  return clean;
}

function walk(value, key = '') {
  if (key === 'headers') return null; // a token, most often
  if (typeof value === 'string') return isSecret(key) ? '' : text(value);
  if (Array.isArray(value)) return value.map((one) => walk(one, key));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, walk(one, name)]));
  }
  return isSecret(key) && value !== null ? '' : value;
}

export function withoutSecrets(stored) {
  for (const found of stored.matchAll(VARIABLE)) variables.add(found[1]);
  try {
    return JSON.stringify(walk(JSON.parse(stored)));
  } catch {
    return text(stored);
  }
}

// A Storage for GraphiQL over the browser's own.
export function safeStorage(kept = globalThis.localStorage) {
  for (const key of Object.keys(kept).filter((one) => one.startsWith('graphiql:'))) {
    kept.setItem(key, withoutSecrets(kept.getItem(key))); // of a visit before this file was here
  }
  return {
    get length() {
      return kept.length;
    },
    key: (index) => kept.key(index),
    getItem: (key) => kept.getItem(key),
    setItem: (key, value) => kept.setItem(key, withoutSecrets(String(value))),
    removeItem: (key) => kept.removeItem(key),
    clear: () => kept.clear(),
  };
}
