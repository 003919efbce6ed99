// Categories: add, rename, move, delete.
import { count, h, table } from '../common/dom.js';
import { choice, confirm, dialog, expected, field, form } from './forms.js';

export const title = 'Categories';

const CATEGORIES = 'query ConsoleCategories { categories { id slug name productCount parent { slug name } } }';
const CREATE = `mutation ConsoleCreateCategory($input: CreateCategoryInput!) { createCategory(input: $input) {
  __typename ... on InvalidInput { field } ... on UserError { code message }
} }`;
const UPDATE = `mutation ConsoleUpdateCategory($input: UpdateCategoryInput!) { updateCategory(input: $input) {
  __typename ... on InvalidInput { field } ... on UserError { code message }
} }`;
const DELETE = `mutation ConsoleDeleteCategory($id: ID!) { deleteCategory(id: $id) {
  __typename ... on InvalidInput { field } ... on UserError { code message }
} }`;

export async function show(page) {
  const list = h('div', {});
  let categories = [];
  page.root.append(h('div', { class: 'row' }, h('button', { type: 'button', class: 'main', onclick: () => edit() }, 'New category')), list);
  await read();

  async function read() {
    categories = (await page.ask(CATEGORIES)).categories;
    list.replaceChildren(table('Categories', ['Name', ['Slug', 'wide'], 'Below', ['Products', 'number'], ''], categories.map((one) => [
      one.name, h('code', {}, one.slug), one.parent?.name ?? '–', count(one.productCount),
      h('div', { class: 'actions' },
        h('button', { type: 'button', 'aria-label': `Edit ${one.name}`, onclick: () => edit(one) }, 'Edit'),
        h('button', { type: 'button', class: 'danger', 'aria-label': `Delete ${one.name}`, onclick: () => remove(one) }, 'Delete')),
    ]), 'There are no categories.'));
  }

  function edit(old) {
    const parents = categories.filter(({ slug }) => slug !== old?.slug).map(({ slug, name }) => [slug, name]);
    dialog(old ? `Edit ${old.name}` : 'New category', (close) => form([
      !old && field('Slug', 'slug', { required: true, maxLength: 100 }),
      field('Name', 'name', { required: true, maxLength: 200, value: old?.name ?? '' }),
      choice('Below', 'parent', [['', 'nothing: at the top'], ...parents], old?.parent?.slug ?? ''),
    ].filter(Boolean), old ? 'Save' : 'Make it', async ({ slug, name, parent }) => {
      if (old) expected((await page.ask(UPDATE, { input: { id: old.id, name, parent: parent || null } })).updateCategory);
      else expected((await page.ask(CREATE, { input: { slug, name, parent: parent || null } })).createCategory);
      close();
      page.say(`“${name}” is saved.`);
      await read();
    }, h('button', { type: 'button', onclick: close }, 'Cancel')));
  }

  function remove({ id, name }) {
    confirm('Delete a category', `“${name}” goes, if no product and no other category is in it.`, 'Delete', async () => {
      expected((await page.ask(DELETE, { id })).deleteCategory);
      page.say(`“${name}” is deleted.`);
      await read();
    });
  }
}
