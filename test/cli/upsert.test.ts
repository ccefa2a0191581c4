/** The commands over upserts: rows are what the log makes, and each of them knows what a record takes back. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/cli/config.ts';
import { servedPlan } from '../../src/cli/in_force.ts';
import { lookupBody } from '../../src/cli/lookup.ts';
import { body } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';
import { definitionsOf, SHOPS, UPSERTS, upsertLines } from '../sim/upserts.ts';

/** Each test starts programs of its own. */
setDefaultTimeout(60_000);

const MAIN = join(import.meta.dir, '../../src/main.ts');
const PAIRS = `---
entities: { pair: [string, int64] }
---
feature_set: pairs
entity: pair
source: plain
windows: [lifetime]
sql: SELECT shop, id, COUNT(*) AS n FROM plain GROUP BY shop, id
`;

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tilefold-upsert-'));
  await mkdir(join(folder, 'features'));
  await writeFile(join(folder, 'tilefold.yaml'), 'log: { clock: event }\nfold: { workers: 0 }\n');
  await writeFile(join(folder, 'features/all.yaml'), definitionsOf(UPSERTS) + PAIRS);
  await writeFile(join(folder, 'all.ndjson'), body(upsertLines(1500, new Random(4))));
  expect((await run('ingest', 'all.ndjson')).code).toBe(0);
});

afterAll(() => rm(folder, { recursive: true }));

async function run(...words: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

const COUNTS = ['plains:n', 'wordeds:n', 'flaggeds:n', 'wrappeds:n'];

/** How many rows each shop has now, of each table. */
async function lookedUp(): Promise<number[][]> {
  const named = COUNTS.flatMap(name => ['--feature', `${name}_lifetime`]);
  const { out } = await run('lookup', 'shop', ...SHOPS, '--json', ...named);
  const { features } = JSON.parse(out).entities.shop;
  return COUNTS.map(name => features[`${name}_lifetime`].values);
}

test('rows and last rows are what the log makes', async () => {
  const { code, out } = await run('verify');
  expect([code, out]).toEqual([0, expect.stringMatching(/rows up to record 1500: what the log makes\n$/)]);
});

test('the history of a key ends with its features, and all changes together are them', async () => {
  const wanted = await lookedUp();
  expect(wanted.flat().every(count => count > 0)).toBe(true);
  const { out } = await run(
    'changelog',
    'shop',
    SHOPS[0]!,
    '--json',
    ...COUNTS.flatMap(n => ['--feature', `${n}_lifetime`]),
  );
  const last = JSON.parse(out.trimEnd().split('\n').at(-1)!);
  expect(COUNTS.map(name => last.features[`${name}_lifetime`].value)).toEqual(wanted.map(([count]) => count!));
  expect((await run('changelog', 'dump', '--entity', 'shop', '--out', 'changes.ndjson', '--step', '100')).code).toBe(0);
  const sums = COUNTS.map(() => SHOPS.map(() => 0));
  for (const line of (await Bun.file(join(folder, 'changes.ndjson')).text()).trimEnd().split('\n')) {
    const row = JSON.parse(line);
    if (row._level !== 'lifetime') continue;
    for (const [i, name] of COUNTS.entries()) sums[i]![SHOPS.indexOf(row._key_1)]! += row[name] ?? 0;
  }
  expect(sums).toEqual(wanted);
});

test('a shadow begins with the log, or says why', async () => {
  const refused = await run('shadow', 'run', 'beside', 'features', '--once');
  expect([refused.code === 0, refused.err]).toEqual([
    false,
    expect.stringContaining(
      'plain says only what a row is now, and what its rows were before is in the log: --from-start',
    ),
  ]);
  expect((await run('shadow', 'run', 'beside', 'features', '--from-start', '--once')).code).toBe(0);
  const named = COUNTS.flatMap(name => ['--feature', `${name}_lifetime`]);
  const { out } = await run('lookup', 'shop', ...SHOPS, '--json', '--shadow', 'beside', ...named);
  const { features } = JSON.parse(out).entities.shop;
  expect(COUNTS.map(name => features[`${name}_lifetime`].values)).toEqual(await lookedUp());
});

test('keys are split as the definitions in force have them, whatever the folder says by now', async () => {
  await writeFile(join(folder, 'features/all.yaml'), definitionsOf(UPSERTS));
  const config = await loadConfig(join(folder, 'tilefold.yaml'));
  const { entities } = JSON.parse(lookupBody(servedPlan(config), 'pair', ['north', '1', 'south', '2'], {}));
  expect(entities.pair).toEqual([
    ['north', 1],
    ['south', 2],
  ]);
  const { code, out } = await run('lookup', 'pair', 'north', '1', 'south', '2');
  expect([code, out.split('\n')[0]]).toEqual([0, expect.stringMatching(/^pair +north 1 +south 2$/)]);
});
