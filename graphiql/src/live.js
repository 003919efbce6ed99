// A live query shows its answer as it stands, above the log of what came. With `@live(patch: true)` most of what comes
// are JSON patches (RFC 6902: add, remove, replace) against the answer before.

// Returns a function that is called with each result and gives the answer as it stands.
export function shown() {
  let data;
  return (result) => {
    data = result.patch ? result.patch.reduce(applied, data) : result.data;
    return { data, ...(result.errors && { errors: result.errors }) };
  };
}

// `value` with one operation applied; what it does not touch is shared with `value`, which stays as it was.
function applied(value, { op, path, value: given }) {
  const steps = path.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return at(value, steps, op, given);
}

function at(value, [step, ...below], op, given) {
  if (step === undefined) return given;
  const copy = Array.isArray(value) ? [...value] : { ...value };
  if (below.length) copy[step] = at(copy[step], below, op, given);
  else if (!Array.isArray(copy)) op === 'remove' ? delete copy[step] : (copy[step] = given);
  else copy.splice(Number(step), op === 'add' ? 0 : 1, ...(op === 'remove' ? [] : [given]));
  return copy;
}
