// Products: search, edit, and import a file after a look at what would become of it.
import { count, h, table } from '../common/dom.js';
import { choice, confirm, dialog, expected, field, form, tick } from './forms.js';

export const title = 'Products';

const CATEGORIES = 'query ConsoleShelves { categories { slug name } }';
const PRODUCTS = `query ConsoleProducts($first: Int, $after: String, $last: Int, $before: String, $filter: ProductFilter) {
  products(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    nodes { id sku name description price { amount currency } stock inStock active category { slug name } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;
const CREATE = `mutation ConsoleCreateProduct($input: CreateProductInput!) { createProduct(input: $input) {
  __typename ... on InvalidInput { field } ... on UserError { code message }
} }`;
const UPDATE = `mutation ConsoleUpdateProduct($input: UpdateProductInput!) { updateProduct(input: $input) {
  __typename ... on InvalidInput { field } ... on UserError { code message }
} }`;
const DELETE = 'mutation ConsoleDeleteProduct($id: ID!) { deleteProduct(id: $id) { __typename ... on UserError { code message } } }';
const PREVIEW = `mutation ConsolePreview($file: Upload!) { previewImport(input: { file: $file }) { __typename
  ... on ImportPreview { format shape encoding columns { column meaning } ignored doubts rows complete
    created updated unchanged bad problems examples { sku values { name value } } }
  ... on InvalidInput { field } ... on UserError { code message }
} }`;
const UPLOAD = `mutation ConsoleUpload($file: Upload!) { uploadProducts(input: { file: $file }) { __typename
  ... on InvalidInput { field } ... on UserError { code message }
} }`;
const PAGE = 20;

export async function show(page) {
  const { categories } = await page.ask(CATEGORIES);
  const shelves = categories.map(({ slug, name }) => [slug, name]);
  const list = h('div', {});
  let filter = { includeInactive: true };
  let shown = { first: PAGE };
  page.root.append(
    form([h('div', { class: 'row' },
      field('Words', 'search', { type: 'search', maxLength: 200 }),
      choice('Category', 'category', [['', 'all'], ...shelves], ''),
      tick('Active ones alone', 'active'))], 'Search', ({ search, category, active }) => {
      filter = { ...(search && { search }), ...(category && { category }), includeInactive: !active };
      return read({ first: PAGE });
    }, h('button', { type: 'button', onclick: () => edit() }, 'New product'),
    page.has('jobs') && h('button', { type: 'button', onclick: choose }, 'Import a file')),
    list,
  );
  await read(shown);

  async function read(what) {
    shown = what;
    const { products } = await page.ask(PRODUCTS, { ...what, filter });
    const { hasNextPage, hasPreviousPage, startCursor, endCursor } = products.pageInfo;
    list.replaceChildren(
      table('Products', ['Product', ['Category', 'wide'], ['Price', 'number'], ['Stock', 'number'], ''], products.nodes.map((one) => [
        [h('div', {}, one.name), h('div', { class: 'faint' }, one.sku, one.active ? '' : ' · not shown')], one.category?.name ?? '–',
        `${one.price.amount} ${one.price.currency}`, one.stock === null ? (one.inStock ? 'available' : 'sold out') : count(one.stock),
        h('button', { type: 'button', 'aria-label': `Edit ${one.name}, ${one.sku}`, onclick: () => edit(one) }, 'Edit'),
      ]), 'No product is like that.'),
      h('p', { class: 'actions' },
        hasPreviousPage && h('button', { type: 'button', onclick: () => page.run(() => read({ last: PAGE, before: startCursor })) }, 'Previous page'),
        hasNextPage && h('button', { type: 'button', onclick: () => page.run(() => read({ first: PAGE, after: endCursor })) }, 'Next page')),
    );
  }

  function edit(old) {
    dialog(old ? `Edit ${old.name}` : 'New product', (close) => form([
      !old && field('Sku', 'sku', { required: true, maxLength: 64 }),
      field('Name', 'name', { required: true, maxLength: 200, value: old?.name ?? '' }),
      h('label', {}, 'Description', h('textarea', { name: 'description', rows: 4, maxLength: 10000 }, old?.description ?? '')),
      choice('Category', 'category', [['', 'none'], ...shelves], old?.category?.slug ?? ''),
      h('div', { class: 'row' },
        field('Price', 'price', { required: true, inputmode: 'decimal', value: old?.price.amount ?? '' }),
        field('Currency', 'currency', { required: true, maxLength: 3, value: old?.price.currency ?? 'USD' })),
      field('Stock (empty: not counted)', 'stock', { type: 'number', min: 0, step: 1, value: String((old ? old.stock : 0) ?? '') }),
      tick('Shown in the shop', 'active', old?.active ?? true),
    ].filter(Boolean), old ? 'Save' : 'Make it', async (given) => {
      const input = old ? changes(old, given) : made(given);
      if (!old) {
        expected((await page.ask(CREATE, { input })).createProduct);
        page.say(`“${given.name}” is saved.`);
        page.root.querySelector('[name=search]').value = given.sku;
        filter = { search: given.sku, includeInactive: true };
        await read({ first: PAGE });
      } else if (Object.keys(input).length) {
        expected((await page.ask(UPDATE, { input: { id: old.id, ...input } })).updateProduct);
        page.say(`“${given.name}” is saved.`);
        await read(shown);
      }
      close();
    }, h('button', { type: 'button', onclick: close }, 'Cancel'),
    old && h('button', { type: 'button', class: 'danger', onclick: () => remove(old, close) }, 'Delete')));
  }

  function remove({ id, name }, close) {
    confirm('Delete a product', `“${name}” goes for good.`, 'Delete', async () => {
      expected((await page.ask(DELETE, { id })).deleteProduct);
      close();
      page.say(`“${name}” is deleted.`);
      await read(shown);
    });
  }

  function choose() {
    dialog('Import a file', (close) => form([
      h('p', {}, 'A file of products: csv, json, ndjson or xml, also packed. Nothing is written before you have seen what it would do.'),
      field('File', 'file', { type: 'file', required: true, accept: '.csv,.json,.ndjson,.jsonl,.xml,.tsv,.txt,.gz,.zip' }),
    ], 'Look', async ({ file }) => {
      const seen = expected((await page.ask(PREVIEW, { file: null }, { file })).previewImport);
      close();
      preview(file, seen);
    }, h('button', { type: 'button', onclick: close }, 'Cancel')));
  }

  function preview(file, seen) {
    const what = `${seen.complete ? 'Rows' : 'First rows'}: ${count(seen.rows)}`;
    dialog(`Import ${file.name}`, (close) => [
      h('p', {}, `${seen.format}, ${seen.shape.toUpperCase()}, ${seen.encoding}. ${what}, of which ${count(seen.created)} new, ${count(seen.updated)} changed, `
        + `${count(seen.unchanged)} as they are, ${count(seen.bad)} left out.`),
      seen.problems.map((text) => h('p', { class: 'bad' }, text)),
      seen.doubts.map((text) => h('p', { class: 'faint' }, text)),
      h('h3', {}, 'Columns'),
      table('Columns', ['Column', 'Is read as'], seen.columns.map(({ column, meaning }) => [column, meaning])),
      seen.ignored.length > 0 && h('p', { class: 'faint' }, `Not read: ${seen.ignored.join(', ')}.`),
      h('h3', {}, 'First products'),
      seen.examples.map(({ sku, values }) => h('details', {}, h('summary', {}, sku),
        h('dl', { class: 'values' }, values.flatMap(({ name, value }) => [h('dt', {}, name), h('dd', {}, value)])))),
      form([], 'Import it', async () => {
        expected((await page.ask(UPLOAD, { file: null }, { file })).uploadProducts);
        close();
        page.say(`${file.name} is being imported.`);
        location.hash = 'jobs';
      }, h('button', { type: 'button', onclick: close }, 'Cancel')),
    ].flat().filter(Boolean));
  }
}

// The input of a createProduct.
function made({ sku, name, description, category, price, currency, stock, active }) {
  return { sku, name, description, active, category: category || null, price: { amount: price, currency }, stock: stock === '' ? null : Number(stock) };
}

// The fields of an updateProduct that differ from the product as it was shown.
function changes(old, { name, description, category, price, currency, stock, active }) {
  const counted = stock === '' ? null : Number(stock);
  return {
    ...(name !== old.name && { name }),
    ...(description !== old.description && { description }),
    ...(category !== (old.category?.slug ?? '') && { category: category || null }),
    ...((price !== old.price.amount || currency !== old.price.currency) && { price: { amount: price, currency } }),
    ...(counted !== old.stock && { stock: counted }),
    ...(active !== old.active && { active }),
  };
}
