/** Places of events as the kernel finds them are those that parsing each event finds. */
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INT64, STRING, TIME } from '../../src/plan/value.ts';
import { BLOCK_ROWS, ColumnReader, ColumnWriter } from '../../src/replay/column_file.ts';
import { idOf, PlaceTaker } from '../../src/replay/places.ts';
import type { PlaceColumn } from '../../src/replay/stages.ts';
import { decodingLayout, eventType } from '../kernel/columns.ts';
import { optional } from '../oracle/fixtures/spell.ts';
import { Random } from '../sim/random.ts';

const ENCODER = new TextEncoder();
const START_MS = 983_664_000_000;
/** More than one block of them. */
const EVENTS = BLOCK_ROWS + 4000;
const TAKEN = 1500;

interface Line {
  text: string;
  /** Microseconds; null where the event is no row. */
  time: bigint | null;
}

/** Members in any order, some of them twice, ids of any kind, with spaces and escapes, in either form of events; some of another type, some bad. */
function randomLine(rng: Random, number: number): Line {
  const blank = () => (rng.chance(0.05) ? ' ' : '');
  const text = () =>
    rng.pick(['"a"', '""', '"né"', '"q\\"x"', '"\\u00e9"', '"id"', '"type"', '"x,y:{}"', `"${number}"`]);
  const id = () =>
    rng.pick([text, text, text, () => '17', () => 'null', () => '1.50', () => `"${'long '.repeat(30)}"`])();
  const ms = START_MS + number;
  // So is the last one that is taken at once.
  const isBad = rng.chance(0.01) || (number + 1) % TAKEN === 0;
  const members = rng.chance(0.7)
    ? [
        ['id', id()],
        ['type', '"e"'],
        ['time', `${ms}`],
        ['data', isBad ? '{"n":"x"}' : '{"n":1}'],
        ['more', text()],
      ]
    : [
        ['_id', id()],
        ['_type', '"e"'],
        ['_time', `${ms}`],
        ['n', isBad ? '"x"' : '1'],
        ['id', id()],
      ];
  // Of two that have a name the last one counts, however it is spelt; what is within another one does not.
  const inner = ['in', '[{"id":"x","type":"y"},["id"]]'];
  const again = [['id', id()], ['i\\u0064', id()], [members[1]![0]!, '"e"'], inner, ['in', '"\\\\"']];
  if (rng.chance(0.2)) members.push(rng.pick(again) as [string, string]);
  // Ids may be missing.
  const chosen = members.filter(([name]) => !name!.endsWith('id') || rng.chance(0.8)).toSorted(() => rng.below(3) - 1);
  const spelt = chosen.map(([name, value]) => `${blank()}"${name}"${blank()}:${blank()}${value}${blank()}`);
  return { text: `{${spelt.join(',')}}`, time: isBad ? null : BigInt(ms) * 1000n };
}

test('times, ids and what is wrong are those that parsing finds, over several blocks', async () => {
  const rng = new Random(11);
  const lines = Array.from({ length: EVENTS }, (_, i) => randomLine(rng, i));
  const other = `{"id":"other","type":"f","time":${START_MS},"data":{}}`;
  const layout = await decodingLayout([eventType('e', [optional('n', INT64)]), eventType('f', [])]);
  const folder = mkdtempSync(join(tmpdir(), 'places-'));
  const path = (name: string) => join(folder, `${name}.column`);
  const types = { _time: TIME, _id: STRING, _bad: STRING } as const;
  const names = Object.keys(types) as PlaceColumn[];
  const writers = new Map(names.map(name => [name, new ColumnWriter(path(name), types[name], EVENTS)]));
  const taker = new PlaceTaker({ layout, fold: null, event: 'e', writers });
  for (let at = 0; at < EVENTS; at += TAKEN) {
    const text = lines.slice(at, at + TAKEN).map(line => `${line.text}\n${rng.chance(0.1) ? `${other}\n` : ''}`);
    taker.take({ bytes: ENCODER.encode(text.join('')), arrivalMicros: null, file: '', line: 1 });
  }
  taker.finish();
  for (const writer of writers.values()) writer.finish();
  const [times, ids, bads] = names.map(name => valuesIn(path(name)));
  rmSync(folder, { recursive: true });
  const wantedIds = lines.map(({ text }) => idOf(ENCODER.encode(text)));
  expect(ids).toEqual(wantedIds);
  expect(new Set(wantedIds).size).toBeGreaterThan(500);
  expect(times).toEqual(lines.map(({ time }) => time));
  const said = bads!.map(text => (text === null ? null : JSON.parse(text as string).code));
  expect(said).toEqual(lines.map(({ time }) => (time === null ? 'wrong_type' : null)));
});

/** Of a column, null where it is null. */
function valuesIn(path: string): unknown[] {
  const reader = new ColumnReader(path);
  const all: unknown[] = [];
  for (let rows = reader.block(); rows; rows = reader.block()) {
    const { values, nulls } = rows.column;
    for (let i = 0; i < nulls.length; i++) all.push(nulls[i] ? null : (values as unknown[])[i]);
  }
  reader.close();
  return all;
}
