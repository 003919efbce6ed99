// Writes ../graph/static/graphiql (or the directory it is given): index.html, the bundle, its styles and fonts, and Monaco's workers.
// Names carry a hash of the content, so that browsers may keep the files for ever.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

const out = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, '../graph/static/graphiql'));
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const common = {
  bundle: true,
  minify: true,
  metafile: true,
  target: ['chrome109', 'firefox115', 'safari16.4'],
  outdir: out,
  legalComments: 'none',
  logLevel: 'warning',
  define: { 'process.env.NODE_ENV': '"production"' },
};

const workers = await build({
  ...common,
  format: 'iife',
  entryPoints: {
    editor: 'monaco-editor/esm/vs/editor/editor.worker.js',
    json: 'monaco-editor/esm/vs/language/json/json.worker.js',
    graphql: 'monaco-graphql/esm/graphql.worker.js',
  },
  entryNames: '[name].worker-[hash]',
});
const workerFiles = Object.fromEntries(
  Object.keys(workers.metafile.outputs).map((file) => [path.basename(file).split('.')[0], `./${path.basename(file)}`]),
);

const page = await build({
  ...common,
  format: 'esm',
  splitting: true,
  jsx: 'automatic',
  entryPoints: { graphiql: 'src/main.jsx' },
  entryNames: '[name]-[hash]',
  chunkNames: 'chunk-[hash]',
  assetNames: 'asset-[hash]',
  loader: { '.ttf': 'file', '.woff2': 'file', '.svg': 'dataurl' },
  define: { ...common.define, __WORKERS__: JSON.stringify(workerFiles) },
});
const entry = Object.entries(page.metafile.outputs).find(([, facts]) => facts.entryPoint === 'src/main.jsx');
const html = (await readFile('src/index.html', 'utf8'))
  .replace('{script}', path.basename(entry[0]))
  .replace('{style}', path.basename(entry[1].cssBundle));
await writeFile(path.join(out, 'index.html'), html);
await writeFile(path.join(out, 'NOTICE'), await notices([workers, page]));

// The licence of every package that is in the bundle.
async function notices(builds) {
  const inputs = builds.flatMap((built) => Object.keys(built.metafile.inputs));
  const packages = new Set(inputs.map((file) => file.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]).filter(Boolean));
  const texts = await Promise.all([...packages].sort().map(async (folder) => {
    const facts = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
    const names = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'LICENCE', 'license.md'];
    const found = await Promise.all(names.map((name) => readFile(path.join(folder, name), 'utf8').catch(() => null)));
    return `${facts.name} ${facts.version} (${facts.license})\n\n${found.find((text) => text !== null) ?? ''}`.trim();
  }));
  return `This directory is built from these packages:\n\n${texts.join('\n\n---\n\n')}\n`;
}
