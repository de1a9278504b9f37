/**
 * Bundles the playground into the directory given as the only argument.
 *
 * Out come `index.html` (a template: the server fills the names in double braces), scripts, style, fonts and workers
 * with a hash of their content in their names (so a server may let browsers keep them for ever), the licences of all
 * that is inside, and a `.gz` beside every file that shrinks by it.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

/** The address under which the server offers these files. Scripts find each other relatively; only the page needs it. */
const BASE = '/_puff/playground/';

const out = process.argv[2] ?? '';
if (!out) {
  console.error('usage: node build.mjs DIRECTORY');
  process.exit(2);
}

/** @satisfies {import('esbuild').BuildOptions} */
const common = /** @type {const} */ ({
  bundle: true,
  minify: true,
  metafile: true,
  outdir: out,
  entryNames: '[name]-[hash]',
  chunkNames: 'chunk-[hash]',
  assetNames: '[name]-[hash]',
  target: 'es2022',
  define: { 'process.env.NODE_ENV': '"production"' },
  legalComments: 'none', // licenses.txt holds them all, in full
  logLevel: 'warning',
});

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

// Workers first: the page's script needs to know the names they got.
const workers = await build({
  ...common,
  format: 'iife',
  entryPoints: {
    'editor-worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'json-worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
    'graphql-worker': 'monaco-graphql/esm/graphql.worker.js',
  },
});
/** @param {string} name */
const worker = (name) => outputs(workers).find((file) => file.startsWith(`${name}-worker-`));

const page = await build({
  ...common,
  format: 'esm',
  splitting: true,
  jsx: 'automatic',
  entryPoints: { main: 'src/main.jsx', style: 'src/style.css' },
  plugins: [{ name: 'style-once', setup: leaveOutStyleOfScripts }],
  define: {
    ...common.define,
    PUFF_WORKERS: JSON.stringify({ editor: worker('editor'), json: worker('json'), graphql: worker('graphql') }),
  },
});

const style = output(/^style-.*\.css$/);
const script = output(/^main-.*\.js$/);
splitFonts(join(out, style));
writePage(style, script);
writeLicenses([workers, page]);
compress();

/**
 * The name of the page's one file that matches.
 *
 * @param {RegExp} pattern
 */
function output(pattern) {
  const found = outputs(page).find((file) => pattern.test(file));
  if (!found) {
    throw new Error(`the bundler wrote no file like ${pattern}`);
  }
  return found;
}

/**
 * Names of the files that a build wrote.
 *
 * @param {{metafile: import('esbuild').Metafile}} result
 */
function outputs(result) {
  return Object.keys(result.metafile.outputs).map((path) => basename(path));
}

/**
 * Drops the style sheets that Monaco's scripts import one by one: GraphiQL's sheet already holds them all.
 *
 * @param {import('esbuild').PluginBuild} bundler
 */
function leaveOutStyleOfScripts(bundler) {
  bundler.onLoad({ filter: /monaco-editor.*\.css$/ }, () => ({ contents: '', loader: 'empty' }));
}

/**
 * Takes the fonts out of a style sheet into files of their own.
 *
 * GraphiQL carries them inside its CSS, for every script of the world. As files, a browser fetches only the ones whose
 * `unicode-range` it meets, and a Content-Security-Policy need not allow `data:` fonts.
 *
 * @param {string} path
 */
function splitFonts(path) {
  const css = readFileSync(path, 'utf8').replace(
    /data:font\/(woff2?|ttf);base64,([A-Za-z0-9+/=]+)/g,
    (_whole, kind, base64) => {
      const bytes = Buffer.from(base64, 'base64');
      const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 8);
      const name = `font-${hash}.${kind}`;
      writeFileSync(join(out, name), bytes);
      return `./${name}`;
    },
  );
  writeFileSync(path, css);
}

/**
 * Writes `index.html` with the addresses of the script and the style sheet.
 *
 * @param {string} styleName
 * @param {string} scriptName
 */
function writePage(styleName, scriptName) {
  const html = readFileSync('index.html', 'utf8')
    .replace('<!-- styles -->', `<link rel="stylesheet" href="${BASE}${styleName}" />`)
    .replace('<!-- scripts -->', `<script type="module" src="${BASE}${scriptName}"></script>`);
  writeFileSync(join(out, 'index.html'), html);
}

/**
 * Writes the licence of each package that went into the bundle: their authors ask for nothing more.
 *
 * @param {{metafile: import('esbuild').Metafile}[]} results
 */
function writeLicenses(results) {
  const inputs = results.flatMap((result) => Object.keys(result.metafile.inputs));
  const folders = new Set(
    inputs.flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/)?.[0] ?? []),
  );
  const fonts = 'Fonts: Roboto (Apache-2.0), Fira Code (OFL-1.1), Codicon (CC-BY-4.0, Microsoft).\n';
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license, repository } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    );
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|thirdpartynotices)/i.test(file));
    const text = files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n');
    const terms = text || `The package names its licence but carries no text of it: ${repository?.url ?? repository}`;
    return `${name} ${version} (${license})\n${'='.repeat(78)}\n${terms}\n`;
  });
  writeFileSync(join(out, 'licenses.txt'), [fonts, ...texts].join('\n\n'));
}

/** Puts a `.gz` beside each file that gets at least a tenth smaller by it. */
function compress() {
  for (const file of readdirSync(out)) {
    const path = join(out, file);
    const plain = readFileSync(path);
    const packed = gzipSync(plain, { level: 9 });
    // The page is a template, filled at run time: packing it now would freeze the placeholders.
    if (file !== 'index.html' && packed.length < plain.length * 0.9) {
      writeFileSync(`${path}.gz`, packed);
    }
  }
}
