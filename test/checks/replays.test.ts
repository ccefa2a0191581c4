/** Results of replays, as files and over HTTP, as pyarrow, Polars, pandas and DuckDB read them: types and every value. */
import { expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { loadConfig } from '../../src/cli/config.ts';
import { compileDefinitions } from '../../src/cli/definitions.ts';
import { openReplaying } from '../../src/cli/runs/replay_service.ts';
import { Timelines } from '../../src/cli/timelines.ts';
import { appWith, ORIGIN, post } from '../http/told.ts';
import { folders } from '../source/folder.ts';

const python = pythonOrSkip('results of replays = pyarrow, Polars, pandas, DuckDB');
const ROOT = join(import.meta.dir, '../..');
const newFolder = folders();

const SCOWL = `event visit
user := $.user as string
n := $.n as int?
share := $.share as float?
at := $.at as time?
ok := $.ok as bool?
marks := $.marks as [int?]?
home := $.home as place?
visits := Count(by user)
type place { street: string, zip: string? }
`;

const EVENTS = [
  {
    ...{ user: 'ä', n: 1, share: 0.1, at: '1969-12-31T23:59:59.999999+02:00', ok: true, marks: [1, null, 3] },
    home: { street: 'Å 1', zip: null },
  },
  { user: 'b', n: null, marks: [], home: null },
  { user: 'ä', ok: false, home: { street: 's', zip: '7' } },
].map((data, i) => JSON.stringify({ type: 'visit', id: `v${i}`, time: `2026-03-02T10:0${i}:00.000001Z`, data }));

/** What the three readers say of a column: its type, and its values as texts. */
const PROGRAM = `
import json, sys, pyarrow, polars
table = pyarrow.ipc.open_stream(sys.argv[1]).read_all()
frame = polars.read_ipc_stream(sys.argv[1])
print(json.dumps({name: [str(table[name].type), str(frame[name].dtype), [str(v) for v in table[name].to_pylist()]] for name in table.column_names}))
`;

test.skipIf(python === null)(
  'have the types that they should have, and the same values wherever they are read',
  async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'features'), { recursive: true });
    writeFileSync(join(folder, 'features/visits.scowl'), SCOWL);
    writeFileSync(join(folder, 'tilefold.yaml'), 'log: { clock: event }\n');
    // Of int64 what no double holds.
    writeFileSync(join(folder, 'visits.ndjson'), EVENTS.join('\n').replace('"n":1,', '"n":9007199254740993,'));
    const config = await loadConfig(join(folder, 'tilefold.yaml'));
    const timelines = await Timelines.open(config);
    const from = { kind: 'files' as const, paths: [join(folder, 'visits.ndjson')], names: {} };
    const all = { types: null, startMicros: null, endMicros: null, lastMs: null, where: null };
    await timelines.create({ name: 'visits', from, ...all });
    timelines.close();
    const { plan } = await compileDefinitions(null, join(folder, 'tilefold.yaml'));
    const { service, close } = await openReplaying(
      config,
      () => plan,
      () => {},
    );
    const { app } = appWith({ replays: service });
    const { id } = (await (await app.request(post('/v1/replays', '{"timelines":["visits"]}'))).json()) as {
      id: string;
    };
    await (await app.request(`/v1/replays/${id}/progress`)).text();
    const headers = { accept: 'application/vnd.apache.arrow.stream' };
    const response = await app.request(new Request(`${ORIGIN}/v1/replays/${id}/events/visit`, { headers }));
    await Bun.write(join(folder, 'visits.arrows'), await response.arrayBuffer());
    await close();

    const said = JSON.parse(
      new TextDecoder().decode(runPython(python!, ['-c', PROGRAM, join(folder, 'visits.arrows')])),
    );
    const time = ['timestamp[us, tz=UTC]', "Datetime(time_unit='us', time_zone='UTC')"];
    expect(said).toEqual({
      _id: ['string', 'String', ['v0', 'v1', 'v2']],
      _type: ['string', 'String', ['visit', 'visit', 'visit']],
      _time: [...time, [0, 1, 2].map(i => `2026-03-02 10:0${i}:00.000001+00:00`)],
      'visit.user': ['string', 'String', ['ä', 'b', 'ä']],
      'visit.n': ['int64', 'Int64', ['9007199254740993', 'None', 'None']],
      'visit.share': ['double', 'Float64', ['0.1', 'None', 'None']],
      'visit.at': [...time, ['1969-12-31 21:59:59.999999+00:00', 'None', 'None']],
      'visit.ok': ['bool', 'Boolean', ['True', 'None', 'False']],
      'visit.marks': ['list<item: int64>', 'List(Int64)', ['[1, None, 3]', '[]', 'None']],
      'visit.home': [
        'struct<street: string, zip: string>',
        "Struct({'street': String, 'zip': String})",
        ["{'street': 'Å 1', 'zip': None}", 'None', "{'street': 's', 'zip': '7'}"],
      ],
      'visit.visits': ['int64', 'Int64', ['1', '1', '2']],
    });

    for (const out of ['visits.arrow', 'visits.parquet']) {
      const words = [join(ROOT, 'src/main.ts'), 'replay', 'events', id, 'visit', '-o', out];
      const { exitCode, stderr } = Bun.spawnSync([process.execPath, ...words], { cwd: folder });
      expect([exitCode, stderr.toString()]).toEqual([0, expect.stringContaining('3 rows')]);
    }
    const files = ['visits.parquet', 'visits.arrow'].map(name => join(folder, name));
    const script = runPython(python!, ['scripts/python/check_parquet.py', ...files]);
    const { differences, types, compared } = JSON.parse(new TextDecoder().decode(script));
    expect(differences).toEqual([]);
    expect(compared).toEqual({ pyarrow: 33, polars: 33, pandas: 33, duckdb: 33 });
    expect([types._time, types['visit.n'], types['visit.at']]).toEqual([time[0], 'int64', time[0]]);
  },
);
