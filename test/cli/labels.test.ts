/** Files of labels: what their columns are, which features they are given, and what is refused. */
import { describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  LabelFile,
  labelFrame,
  type LabelNames,
  type LabelRow,
  labelShapes,
  labelSubjects,
} from '../../src/cli/labels.ts';
import { composeLabels } from '../../src/cli/alone/retelling.ts';
import { MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { folders } from '../source/folder.ts';

const newFolder = folders();
const plan = flightsPlan();
const CLOCK = { kind: 'event' as const, maxJumpMs: MAX_JUMP_DEFAULT_MS };

async function labelsOf(csv: string, names: LabelNames = {}) {
  const folder = newFolder();
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'labels.csv');
  writeFileSync(path, csv);
  const file = await LabelFile.read(path, names, join(folder, 'out'));
  const { layout, close } = await composeLabels<LabelRow>(
    plan,
    { memoryBytes: 1 << 20, path: join(folder, 'rows') },
    CLOCK,
  );
  close();
  return { file, layout, subjects: () => labelSubjects(layout, file, names) };
}

async function rowsOf({ file, subjects }: Awaited<ReturnType<typeof labelsOf>>): Promise<LabelRow[]> {
  const rows = await Array.fromAsync(file.rows(subjects(), plan));
  await file.close();
  return rows;
}

const text = (bytes: Uint8Array | null) => bytes && new TextDecoder().decode(bytes);

test('columns are what their cells are, rows come by their times, and a key that is missing is none', async () => {
  const labels = await labelsOf(
    'origin,_time,n,big,x,b,t\nORD,2001-01-02T00:00:00Z,9007199254740993,9223372036854775808,1.5,true,a\n' +
      ',2001-01-01T00:00:00Z,-1,1,2,FALSE,7x\nATL,2001-01-01T00:00:00Z,,,,,\n',
    { feature: ['origin_delays:flights_2h'] },
  );
  const rows = await rowsOf(labels);
  expect(rows.map(({ timeMicros, keys }) => [timeMicros, keys.map(text)])).toEqual([
    [978_307_200_000_000n, [null]],
    [978_307_200_000_000n, ['ATL']],
    [978_393_600_000_000n, ['ORD']],
  ]);
  const shapes = labelShapes(labels.file, labels.subjects()).map(({ name, type }) => `${name} ${type.kind}`);
  expect(shapes).toEqual([
    ...['_time time', 'origin string', 'n int64', 'big double', 'x double', 'b bool', 't string'],
    'origin_delays:flights_2h int64',
  ]);
  const { columns } = labelFrame(labels.file, { labels: rows, columns: [], records: 0 });
  const cells = columns.map(({ values, nulls }) =>
    Array.from(nulls, (isNull, i) => (isNull ? null : (values as ArrayLike<unknown>)[i])),
  );
  expect(cells.slice(1)).toEqual([
    [null, 'ATL', 'ORD'],
    [-1n, null, 9_007_199_254_740_993n],
    [1, null, 2 ** 63],
    [2, null, 1.5],
    [0, null, 1],
    ['7x', null, 'a'],
  ]);
});

test('an entity is named by what its set groups by, or by what --key says', async () => {
  const csv = 'origin,destination,_time\nATL,ORD,2001-01-01T00:00:00Z\n';
  const usual = await labelsOf(csv);
  expect(usual.subjects().asked.map(({ answer }, i) => [answer.entity, usual.subjects().columns[i]])).toEqual([
    ['origin', ['origin']],
    ['destination', ['destination']],
    ['route', ['origin', 'destination']],
  ]);
  const turned = await labelsOf(csv, { key: ['route=destination,origin'], feature: ['route_delays:*'] });
  expect((await rowsOf(turned)).map(({ keys }) => text(keys[0]!))).toEqual(['\u0003ORD\u0003ATL']);
  await usual.file.close();
  // What the file names nothing of is left out where nobody asks for it.
  const one = await labelsOf('origin,_time\nATL,2001-01-01T00:00:00Z\n');
  expect(one.subjects().asked.map(({ answer }) => answer.entity)).toEqual(['origin']);
});

describe('is refused', () => {
  const good = 'origin,_time\nATL,2001-01-01T00:00:00Z\n';
  test.each<[string, string, LabelNames, string]>([
    ['no times', 'origin,at\nATL,1\n', {}, 'wanted _time, or --time COLUMN for another one'],
    ['no keys', 'x,_time\n1,2001-01-01T00:00:00Z\n', {}, 'wanted those of an entity'],
    ['a key without its column', good, { key: ['origin=from'] }, 'origin: no column from'],
    ['a feature without its key', good, { feature: ['route_delays:*'] }, 'route: no column destination'],
    [
      'a feature that there is not',
      good,
      { feature: ['origin_delays:flight_2h'] },
      'did you mean "origin_delays:flights_2h"?',
    ],
    ['an entity that there is not', good, { key: ['orign=origin'] }, 'did you mean "origin"?'],
    ['a key that is too short', good, { key: ['route=origin'] }, 'a key of route has 2 parts, got 1'],
    ['a key that is none', good, { key: ['origin'] }, 'wanted ENTITY=COLUMN,COLUMN'],
  ])('%s', async (_what, csv, names, wanted) => {
    const refused = await labelsOf(csv, names)
      .then(({ subjects }) => subjects())
      .then(
        () => '',
        (error: Error) => error.message,
      );
    expect(refused).toContain(wanted);
  });

  test('a column that is there already', async () => {
    const labels = await labelsOf('origin,origin_delays:flights_2h,_time\nATL,1,2001-01-01T00:00:00Z\n');
    expect(() => labelShapes(labels.file, labels.subjects())).toThrow(
      'origin_delays:flights_2h, which would be there twice',
    );
  });
});

test('rows without a time are counted, and the first is told', async () => {
  const { file } = await labelsOf('origin,_time\nATL,soon\nORD,2001-01-01T00:00:00Z\nATL,\n');
  expect([file.count, file.rejected, file.firstRejected]).toEqual([1, 2, expect.stringContaining('row 2 of ')]);
});
