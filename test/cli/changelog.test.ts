/** `tilefold changelog`: one key's history is what a replay has of it, and all changes together are the tiles. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { Random } from '../sim/random.ts';

/** Each test starts programs of its own. */
setDefaultTimeout(60_000);

const MAIN = join(import.meta.dir, '../../src/main.ts');

const DEFINITIONS = `
events:
  sale: { shop: string, till: int64, cents: int64? }
  stock: { changelog: { op: op }, op: string, shop: string, pieces: int64 }
entities:
  shop: string
  till: [string, int64]
---
feature_set: sales
entity: shop
source: sale
windows: [1h, lifetime]
tiles: [1m, 30m]
sql: SELECT shop, COUNT(*) AS n, SUM(cents) AS cents, MAX(cents) AS most, AVG(cents) AS mean FROM sale GROUP BY shop
---
feature_set: dear
entity: shop
source: sale
windows: [lifetime]
sql: SELECT shop, COUNT(*) AS n FROM sale WHERE cents > 500 GROUP BY shop
---
feature_set: stocks
entity: shop
source: stock
windows: [1h, lifetime]
sql: SELECT shop, SUM(pieces) AS pieces FROM stock GROUP BY shop
---
feature_set: tills
entity: till
source: sale
windows: [lifetime]
sql: SELECT shop, till, COUNT(*) AS n FROM sale GROUP BY shop, till
`;

const SHOPS = ['north', 'south', 'ünï', ''];

/** Some of them late, some bad, and a word of JSON that is spelled otherwise now and then. */
function eventLines(count: number, rng: Random): string {
  return Array.from({ length: count }, (_, i) => {
    const time = new Date(Date.UTC(2024, 4, 1) + i * 20_000 - (rng.chance(0.1) ? rng.below(9_000_000) : 0));
    const shop = rng.chance(0.1) ? '"\\u006eorth"' : JSON.stringify(rng.pick(SHOPS));
    const cents = rng.chance(0.05) ? '"much"' : rng.chance(0.2) ? 'null' : rng.below(1000);
    const data = rng.chance(0.3)
      ? `"op":"${rng.pick(['+I', '-D', '+U', '-U', '?'])}","shop":${shop},"pieces":${rng.below(50)}`
      : `"shop":${shop},"till":${rng.below(3)},"cents":${cents}`;
    return `{"type":"${data.startsWith('"op') ? 'stock' : 'sale'}","time":"${time.toISOString()}","data":{${data}}}\n`;
  }).join('');
}

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tilefold-changelog-'));
  await mkdir(join(folder, 'features'));
  const config = 'log: { clock: event, segment: { bytes: 64KiB } }\nfold: { workers: 0 }\n';
  const files = {
    'tilefold.yaml': config,
    'features/all.yaml': DEFINITIONS,
    'all.ndjson': eventLines(3000, new Random(1)),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  expect((await run('ingest', 'all.ndjson')).code).toBe(0);
});

afterAll(() => rm(folder, { recursive: true }));

async function run(...words: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

interface Line {
  position: number;
  time: string;
  type: string;
  tiles: { level: string; start: string | null; aggregates: Record<string, unknown> }[];
  features?: Record<string, { value: unknown; status?: string }>;
}

async function historyOf(...words: string[]): Promise<Line[]> {
  const { code, out, err } = await run('changelog', ...words, '--json');
  expect([code, err]).toEqual([0, '']);
  return out.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line) as Line]));
}

async function linesOf(name: string): Promise<Record<string, unknown>[]> {
  const text = await Bun.file(join(folder, name)).text();
  return text.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]));
}

describe('of one key', () => {
  test('every event that counts for it, and its features as a replay has them', async () => {
    expect((await run('replay', '--features', '.', '--log', 'all.ndjson', '--out', 'r.ndjson')).code).toBe(0);
    const events = (await Bun.file(join(folder, 'all.ndjson')).text()).split('\n');
    const replayed = (await linesOf('r.ndjson')).filter(row => {
      const { data } = JSON.parse(events[row._position as number]!) as { data: { shop: string } };
      return data.shop === 'north';
    });
    const history = await historyOf(
      'shop',
      'north',
      '--feature',
      'sales:*',
      '--feature',
      'stocks:*',
      '--feature',
      'dear:*',
    );
    expect(history.map(({ position }) => position)).toEqual(replayed.map(row => row._position as number));
    expect(history.length).toBeGreaterThan(600);
    for (const [i, { time, type, features }] of history.entries()) {
      const values = Object.fromEntries(Object.entries(features!).map(([name, { value }]) => [name, value]));
      const { _position, _type, _time, ...wanted } = replayed[i]!;
      const ofShops = Object.fromEntries(Object.entries(wanted).filter(([name]) => !name.startsWith('tills:')));
      expect([time, type, values]).toEqual([_time as string, _type as string, ofShops]);
    }
  });

  test('its tiles after the last event are those that are stored', async () => {
    expect((await run('tiles', '--out', 't.ndjson', '--entity', 'shop')).code).toBe(0);
    const last = new Map<string, unknown>();
    for (const { tiles } of await historyOf('shop', 'ünï'))
      for (const { level, start, aggregates } of tiles) last.set(`${level} ${start}`, aggregates);
    const stored = (await linesOf('t.ndjson')).filter(({ _key_1 }) => _key_1 === 'ünï');
    const wanted = stored.map(({ _entity, _key_1, _level, _tile_start, ...rest }) => [
      `${_level} ${_tile_start}`,
      rest,
    ]);
    // What has expired has left the store.
    for (const [tile, aggregates] of wanted) expect([tile, last.get(tile as string)]).toEqual([tile, aggregates]);
    expect(wanted.length).toBeGreaterThan(50);
  });

  test('a stretch of it is a part of the whole; only the aggregates that are asked for', async () => {
    const whole = await historyOf('till', 'north', '1');
    const part = await historyOf('till', 'north', '1', '--from', '700', '--to', '2000');
    expect(part).toEqual(whole.filter(({ position }) => position >= 700 && position < 2000));
    expect(part.length).toBeGreaterThan(20);
    const [first] = await historyOf('shop', '', '--feature', 'sales:n_1h', '--to', '100');
    for (const { aggregates } of first!.tiles) expect(Object.keys(aggregates)).toEqual(['sales:n']);
  });

  test('as text', async () => {
    const [{ position, time, type }] = (await historyOf('till', 'north', '1')) as [Line];
    const { code, out } = await run(
      'changelog',
      'till',
      'north',
      '1',
      '--to',
      String(position + 1),
      '--feature',
      'tills:*',
    );
    expect(code).toBe(0);
    expect(out).toBe(
      `${position}  ${time}  ${type}\n         lifetime\ntills:n         1\nfeature           value\ntills:n_lifetime      1\n`,
    );
    expect((await run('changelog', 'shop', 'nowhere')).out).toBe('no event counts for shop nowhere\n');
  });

  test.each([
    [['shp', 'x'], 'there is no entity shp; did you mean "shop"?'],
    [['shop', 'x', 'y'], 'the history of one key is told, got 2 of them'],
    [['till', 'x'], 'till has 2 key columns, and 1 keys are no whole groups of them'],
    [['till', 'x', 'y'], 'a key of till is int64, and "y" is none'],
    [['shop', 'x', '--feature', 'sales:m_1h'], 'no feature sales:m_1h; did you mean "sales:n_1h"?'],
    [['shop', 'x', '--from', 'now'], "option '--from <position>' argument 'now' is invalid. wanted a position, from 0"],
    [['dump', '-o', 'x.csv'], '--out: wanted a file name that ends in .arrow, .parquet or .ndjson, got x.csv'],
    [['dump', '-o', 'x.ndjson', '--step', '0'], 'wanted a number of events, from 1'],
  ])('%p is refused', async (words, message) => {
    const { code, err } = await run('changelog', ...words);
    expect(code).not.toBe(0);
    expect(err).toContain(message);
  });
});

/** Each tile of all changes, and of what is stored: sums of deltas are values, and the greatest of the greatest is it. */
const SCRIPT = `
import sys, duckdb
db = duckdb.connect()
keys = '_entity, _key_1, _key_2, _level, _tile_start'
sums = ', '.join(f'sum("{n}")::BIGINT AS "{n}"' for n in ['sales:n', 'sales:cents', 'dear:n', 'stocks:pieces', 'tills:n'])
stored = '"sales:n", "sales:cents", "dear:n", "stocks:pieces", "tills:n", "sales:most"'
for path in sys.argv[2:]:
    read = 'read_parquet' if path.endswith('.parquet') else 'read_json_auto'
    db.execute(f"""CREATE OR REPLACE TABLE made AS
      SELECT {keys}, {sums}, max("sales:most") AS "sales:most" FROM {read}('{path}') GROUP BY ALL""")
    db.execute(f"CREATE OR REPLACE TABLE kept AS SELECT {keys}, {stored} FROM read_parquet('{sys.argv[1]}')")
    print(db.execute("SELECT count(*) FROM kept").fetchone()[0],
          db.execute("SELECT count(*) FROM (SELECT * FROM kept EXCEPT ALL SELECT * FROM made)").fetchone()[0],
          db.execute(f"SELECT count(*), count(*) FILTER (_from >= _to), max(_to - _from) FROM {read}('{path}')").fetchone())
`;

const python = pythonOrSkip('changes = tiles in DuckDB');

test.skipIf(python === null)('all changes: their sums are the tiles, whatever the step', async () => {
  expect((await run('tiles', '--out', 't.parquet')).code).toBe(0);
  const dump = async (out: string, ...words: string[]) => {
    const { code, out: said } = await run('changelog', 'dump', '-o', out, '--json', ...words);
    expect(code).toBe(0);
    return (JSON.parse(said) as { rows: number }).rows;
  };
  const counts = [
    await dump('c1.parquet', '--step', '1'),
    await dump('c.parquet'),
    await dump('c7.ndjson', '--step', '700'),
  ];
  const files = ['t.parquet', 'c1.parquet', 'c.parquet', 'c7.ndjson'].map(name => join(folder, name));
  const said = new TextDecoder()
    .decode(runPython(python!, ['-c', SCRIPT, ...files]))
    .trimEnd()
    .split('\n');
  const tiles = said[0]!.split(' ')[0]!;
  expect(Number(tiles)).toBeGreaterThan(200);
  expect(said).toEqual([
    `${tiles} 0 (${counts[0]}, 0, 1)`,
    `${tiles} 0 (${counts[1]}, 0, 1000)`,
    `${tiles} 0 (${counts[2]}, 0, 700)`,
  ]);
  const part = await dump('p.ndjson', '--from', '1000', '--to', '1100', '--entity', 'till', '--step', '1');
  const rows = await linesOf('p.ndjson');
  expect(rows.length).toBe(part);
  expect(rows.map(({ _from }) => _from as number)).toEqual(rows.map(({ _to }) => (_to as number) - 1));
  expect(
    rows.every(({ _from, _entity }) => (_from as number) >= 1000 && (_from as number) < 1100 && _entity === 'till'),
  ).toBe(true);
});

/** Of a table, with rows that move from shop to shop, and nulls behind those that are deleted. */
function tableLines(count: number, rng: Random): string {
  const table = new Map<number, object>();
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const id = rng.below(500);
    const before = table.get(id) ?? null;
    const after =
      before !== null && rng.chance(0.3) ? null : { id, shop: rng.pick(SHOPS), cents: rng.below(1000) / 10 };
    const source = { table: 'priced', ts_ms: Date.UTC(2024, 4, 1) + i * 500 };
    const payload = { before, after, source, op: before === null ? 'c' : after === null ? 'd' : 'u' };
    lines.push(JSON.stringify(rng.chance(0.5) ? { schema: null, payload } : payload));
    if (after === null) {
      table.delete(id);
      lines.push('null');
    } else table.set(id, after);
  }
  return lines.join('\n');
}

test('changes in envelopes: workers make of them what one thread does, and so does a replay', async () => {
  const root = folder;
  const files = {
    'table.yaml': `
events: { priced: { changelog: { format: debezium }, shop: string, cents: double } }
entities: { shop: string }
---
feature_set: prices
entity: shop
source: priced
windows: [1h, lifetime]
sql: SELECT shop, COUNT(*) AS n, SUM(cents) AS cents, AVG(cents) AS mean FROM priced GROUP BY shop
`,
    'table.ndjson': tableLines(9000, new Random(7)),
  };
  const tiles: string[] = [];
  const histories: Line[][] = [];
  for (const workers of [0, 2]) {
    folder = join(root, `workers-${workers}`);
    await mkdir(join(folder, 'features'), { recursive: true });
    await writeFile(join(folder, 'tilefold.yaml'), `log: { clock: event }\nfold: { workers: ${workers} }\n`);
    await writeFile(join(folder, 'features/table.yaml'), files['table.yaml']);
    await writeFile(join(folder, 'table.ndjson'), files['table.ndjson']);
    expect(await run('ingest', 'table.ndjson')).toMatchObject({ code: 0, out: 'accepted 9000, rejected 0\n' });
    expect((await run('tiles', '--out', 't.ndjson')).code).toBe(0);
    tiles.push(await Bun.file(join(folder, 't.ndjson')).text());
    histories.push(await historyOf('shop', 'ünï', '--feature', 'prices:*'));
  }
  expect(tiles[0]!.split('\n').length).toBeGreaterThan(100);
  expect(tiles[1]).toBe(tiles[0]!);
  expect(histories[1]).toEqual(histories[0]!);
  // Rows that leave a shop are of its history, and of another's replay.
  expect((await run('replay', '--features', '.', '--log', 'table.ndjson', '--out', 'r.ndjson')).code).toBe(0);
  const replayed = new Map((await linesOf('r.ndjson')).map(row => [row._position as number, row]));
  const events = files['table.ndjson'].split('\n').filter(line => line !== 'null');
  let compared = 0;
  for (const { position, features } of histories[0]!) {
    const event = JSON.parse(events[position]!) as { payload?: Change } & Change;
    const { before, after } = event.payload ?? event;
    if ((after ?? before)!.shop !== 'ünï') continue;
    for (const [name, { value }] of Object.entries(features!)) expect(replayed.get(position)![name]).toEqual(value);
    compared++;
  }
  expect(compared).toBeGreaterThan(1000);
  expect(histories[0]!.length).toBeGreaterThan(compared + 500);
  folder = root;
});

interface Change {
  before: { shop: string } | null;
  after: { shop: string } | null;
}
