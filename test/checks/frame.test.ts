/** A replay's files as Polars, pandas and Python's json read them, and every value of it as DuckDB has it. */
import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { body, tame, weekLines } from '../sim/flights.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

/** Every sixth flight of the week: enough for all windows to move, and little enough for Python. */
const STEP = 6;

/** What scripts/python/check_frame.py writes. */
interface Checked {
  rows: number;
  polars: { [column: string]: string };
  pandas: { [column: string]: string };
  nulls: number;
  compared: { ndjson: number; pandas: number; duckdb: number };
  differences: string[];
}

const python = pythonOrSkip('replay = Polars, pandas, DuckDB');

test.skipIf(python === null)('a replay is what Polars, pandas and DuckDB make of the same log', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tilefold-frame-'));
  const file = (name: string) => join(folder, name);
  const lines = (await weekLines()).filter((_, i) => i % STEP === 0);
  await Bun.write(file('flights.ndjson'), body(tame(lines)));
  for (const out of ['out.arrow', 'out.ndjson']) {
    const args = [
      'src/main.ts',
      'replay',
      '--features',
      'examples/flights',
      '--log',
      file('flights.ndjson'),
      '--out',
      file(out),
    ];
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, ...args], { cwd: ROOT });
    expect([exitCode, stderr.toString()]).toEqual([0, expect.stringContaining(`${lines.length} events`)]);
  }
  const args = ['scripts/python/check_frame.py', file('out.arrow'), file('out.ndjson'), file('flights.ndjson')];
  const checked: Checked = JSON.parse(new TextDecoder().decode(runPython(python!, args)));
  await rm(folder, { recursive: true });

  expect(checked.differences).toEqual([]);
  expect(checked.rows).toBe(lines.length);
  const features = Object.keys(checked.polars).filter(name => name.includes(':'));
  expect(features.length).toBe(3 * 26);
  const values = lines.length * features.length;
  // The features, and beside them _position, _type and _time; DuckDB is asked for the position with each entity.
  expect(checked.compared).toEqual({
    ndjson: values + 3 * lines.length,
    pandas: values + 3 * lines.length,
    duckdb: values + 3 * lines.length,
  });

  const isDouble = (name: string) => /:(delay_mean|late_rate)_/.test(name);
  for (const name of features)
    expect([name, checked.polars[name]]).toEqual([name, isDouble(name) ? 'Float64' : 'Int64']);
  for (const name of features)
    expect([name, checked.pandas[name]]).toEqual([name, isDouble(name) ? 'float64' : 'int64']);
  const { _position, _type, _time } = checked.polars;
  expect({ _position, _type, _time }).toEqual({
    _position: 'Int64',
    _type: 'String',
    _time: "Datetime(time_unit='us', time_zone='UTC')",
  });
  expect(checked.pandas._time).toBe('datetime64[us, UTC]');
  // An event counts itself, so nothing is ever empty here; nulls come in another test.
  expect(checked.nulls).toBe(0);
});

test.skipIf(python === null)('nulls, times and odd types are read as such', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tilefold-frame-'));
  const file = (name: string) => join(folder, name);
  await Bun.write(
    file('features/all.yaml'),
    [
      'events:',
      '  visit: { who: string, ms: { type: int64, optional: true }, at: { type: time, optional: true }, ok: { type: bool, optional: true } }',
      'entities:',
      '  who: string',
    ].join('\n'),
  );
  const select =
    'SELECT who, SUM(ms) AS total, AVG(ms) AS mean, MAX(at) AS latest, MIN(ok) AS ok FROM visit GROUP BY who';
  const set = ['feature_set: visits', 'entity: who', 'source: visit', 'windows: [2h, lifetime]', `sql: ${select}`].join(
    '\n',
  );
  await Bun.write(file('features/visits.yaml'), set);
  const visits = [
    '"ms":9223372036854775807',
    '"ms":null',
    '"ms":1,"at":"1969-12-31T23:59:59.999999Z","ok":false',
    '"ms":-2,"at":"2001-03-05T00:00:00.000001Z","ok":true',
  ].map((data, i) => `{"type":"visit","time":${i},"data":{"who":"${i === 1 ? 'b' : 'a'}",${data}}}`);
  await Bun.write(file('log.ndjson'), visits.join('\n'));
  const args = [
    'src/main.ts',
    'replay',
    '--features',
    file('features'),
    '--log',
    file('log.ndjson'),
    '--out',
    file('out.arrow'),
  ];
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, ...args], { cwd: ROOT });
  expect([exitCode, stderr.toString()]).toEqual([0, expect.stringContaining('4 events')]);
  const program = [
    'import sys, json, polars, pandas',
    'frame = polars.read_ipc(sys.argv[1])',
    'other = pandas.read_feather(sys.argv[1])',
    'names = [n for n in frame.columns if n.endswith("lifetime") or n == "_time"]',
    'cell = lambda v: str(v) if v is not None else None',
    'columns = {n: [str(frame[n].dtype), [cell(v) for v in frame[n].to_list()]] for n in names}',
    'print(json.dumps([columns, {n: int(other[n].isna().sum()) for n in names}]))',
  ].join('\n');
  const [columns, nulls] = JSON.parse(new TextDecoder().decode(runPython(python!, ['-c', program, file('out.arrow')])));
  await rm(folder, { recursive: true });
  const time = "Datetime(time_unit='us', time_zone='UTC')";
  const zero = '1970-01-01 00:00:00';
  expect(columns).toEqual({
    _time: [time, [`${zero}+00:00`, `${zero}.001000+00:00`, `${zero}.002000+00:00`, `${zero}.003000+00:00`]],
    'visits:total_lifetime': ['Int64', ['9223372036854775807', '0', null, '9223372036854775806']],
    'visits:mean_lifetime': [
      'Float64',
      ['9.223372036854776e+18', null, '4.611686018427388e+18', '3.0744573456182584e+18'],
    ],
    'visits:latest_lifetime': [
      time,
      [null, null, '1969-12-31 23:59:59.999999+00:00', '2001-03-05 00:00:00.000001+00:00'],
    ],
    'visits:ok_lifetime': ['Boolean', [null, null, 'False', 'False']],
  });
  expect(nulls).toEqual({
    _time: 0,
    'visits:total_lifetime': 1,
    'visits:mean_lifetime': 1,
    'visits:latest_lifetime': 2,
    'visits:ok_lifetime': 2,
  });
});
