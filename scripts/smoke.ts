import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** smoke.ts BINARY: does the one binary do its work in a folder that holds nothing else? */
const CONFIG = 'log: { clock: event }\ndefinitions: features\nlateness: 1h\n';
const DEFINITIONS = `
events:
  sale: { shop: string, cents: int64 }
entities:
  shop: string
---
feature_set: sales
description: what a shop sells
owner: smoke
entity: shop
source: sale
windows: [1h, lifetime]
sql: SELECT shop, COUNT(*) AS n, SUM(cents) AS cents FROM sale GROUP BY shop
derive: { mean_1h: cents_1h / n_1h }
`;
const EVENTS = `
{"type":"sale","time":"2024-05-01T10:00:00Z","data":{"shop":"north","cents":250}}
{"type":"sale","time":"2024-05-01T10:30:00Z","data":{"shop":"north","cents":100}}
{"type":"sale","time":"2024-05-01T13:00:00Z","data":{"shop":"north","cents":5}}
`.trimStart();
const WANTED = {
  'sales:n_1h': 1,
  'sales:cents_1h': 5,
  'sales:mean_1h': 5,
  'sales:n_lifetime': 3,
  'sales:cents_lifetime': 355,
};

const binary = resolve(process.argv[2] ?? 'dist/tilefold');
const folder = await mkdtemp(join(tmpdir(), 'tilefold-smoke-'));

/** @returns standard output; a wrong exit code ends the script */
function run(words: string[], exitCode = 0, env = {}): string {
  // Nothing of the developer's surroundings: no PATH to find a Bun on, no home.
  const ran = Bun.spawnSync([binary, ...words], { cwd: folder, env, stdin: 'ignore' });
  const [out, err] = [ran.stdout.toString(), ran.stderr.toString()];
  console.log(`$ tilefold ${words.join(' ')}\n${out}${err}`);
  if (ran.exitCode !== exitCode) throw new Error(`exit code ${ran.exitCode}, wanted ${exitCode}`);
  return out;
}

/** The server's own pages, its log, and its way out. */
async function serveOnce() {
  const child = Bun.spawn([binary, 'serve', '--port', '0', '--grace', '0s'], { cwd: folder, env: {}, stderr: 'pipe' });
  const log = new Response(child.stderr).text();
  let said = '';
  for await (const chunk of child.stdout) {
    said += new TextDecoder().decode(chunk);
    const url = / on (http:\S+)\n/.exec(said)?.[1];
    if (!url) continue;
    for (const path of ['/readyz', '/metrics', '/openapi.json', '/docs']) {
      const { status } = await fetch(url + path);
      if (status !== 200) throw new Error(`${path} answers ${status}`);
    }
    child.kill('SIGTERM');
    break;
  }
  const lines = (await log).trimEnd().split('\n');
  console.log(`$ tilefold serve\n${said}${lines.at(-1)}`);
  if ((await child.exited) !== 0) throw new Error(`exit code ${child.exitCode}, wanted 0`);
  if (JSON.parse(lines.at(-1)!).path !== '/docs') throw new Error('the log does not end with the last request');
}

try {
  await writeFile(join(folder, 'tilefold.yaml'), CONFIG);
  await mkdir(join(folder, 'features'));
  await writeFile(join(folder, 'features/sales.yaml'), DEFINITIONS);
  await writeFile(join(folder, 'sales.ndjson'), EVENTS);
  run(['check']);
  run(['check', 'nowhere'], 1);
  run(['ingest', 'sales.ndjson']);
  run(['lookup', 'shop', 'north']);
  const answer = JSON.parse(run(['lookup', 'shop', 'north', '--json']));
  for (const [name, value] of Object.entries(WANTED)) {
    const got = answer.entities.shop.features[name].values[0];
    if (got !== value) throw new Error(`${name} is ${got}, wanted ${value}`);
  }
  run(['replay', '--features', '.', '--log', 'sales.ndjson', '--out', 'out.arrow']);
  run(['replay', '--features', '.', '--log', 'sales.ndjson', '--out', 'out.ndjson']);
  const last = (await Bun.file(join(folder, 'out.ndjson')).text()).trimEnd().split('\n').at(-1)!;
  const replayed = JSON.parse(last);
  for (const [name, value] of Object.entries(WANTED))
    if (replayed[name] !== value) throw new Error(`replayed, ${name} is ${replayed[name]}, wanted ${value}`);
  // The kernels for a runtime without SIMD are inside too, and make the same bytes.
  run(['replay', '--features', '.', '--log', 'sales.ndjson', '--out', 'scalar.ndjson'], 0, {
    BUN_JSC_useWasmSIMD: '0',
  });
  if ((await Bun.file(join(folder, 'scalar.ndjson')).text()) !== (await Bun.file(join(folder, 'out.ndjson')).text()))
    throw new Error('replayed without SIMD, features differ');
  run(['init', 'made', '--events', 'sales.ndjson']);
  run(['check', 'made']);
  run(['completion', 'bash']);
  await serveOnce();
  console.log('OK');
} finally {
  await rm(folder, { recursive: true });
}
