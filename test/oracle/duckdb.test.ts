import { expect, test } from 'bun:test';
import { gunzipSync } from 'node:zlib';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import type { Value } from '../../src/plan/value.ts';
import { flightsPlan } from './fixtures/flights.ts';
import { parseLog } from './log.ts';
import { now, value } from './naive.ts';

const FLIGHTS = new URL('../../examples/flights/', import.meta.url);
const WEEK_EVENTS = 112_987;

/** What scripts/python/duckdb_values.py writes for one moment. */
interface Moment {
  time: string;
  position: number;
  entities: { [entity: string]: { keys: string[][]; features: { [feature: string]: (number | null)[] } } };
}

const plan = flightsPlan();
const week = gunzipSync(await Bun.file(new URL('flights-week.ndjson.gz', FLIGHTS)).bytes());
const log = parseLog(new Uint8Array(week), plan, { clock: 'event', maxJumpMs: 31 * 86_400_000 });

/** The oracle's answers to what a moment holds, for every `stride`th entity. */
function compare(moment: Moment, stride: number): number {
  const { position } = moment;
  const t = now(log, position);
  expect(t).toBe(BigInt(Date.parse(moment.time)) * 1000n);
  let compared = 0;
  for (const feature of plan.features) {
    const { keys, features } = moment.entities[feature.entity]!;
    const theirs = features[feature.name]!;
    const sample = keys.keys().filter(i => i % stride === 0);
    for (const i of sample) {
      const ours = value(plan, log, feature.name, keys[i]!, position, t).value;
      if (!Object.is(asNumber(ours), theirs[i])) {
        throw new Error(`${feature.name} of ${keys[i]} at ${position}: oracle ${ours}, DuckDB ${theirs[i]}`);
      }
      compared++;
    }
  }
  return compared;
}

/** Exact, since the tame week has no number near 2^53. */
function asNumber(value: Value): number | null {
  return value === null ? null : Number(value);
}

test('the bundled week is whole and tame', () => {
  expect(log.records.length).toBe(WEEK_EVENTS);
  expect(log.rejected).toEqual([]);
  expect(log.records.every(record => record.bad === null && record.clock === record.time)).toBe(true);
});

test('the committed values of the demo are the oracle’s', async () => {
  const expected: Moment = await Bun.file(new URL('expected.json', FLIGHTS)).json();
  expect(expected.position).toBe(WEEK_EVENTS - 1);
  expect(compare(expected, 1)).toBe(26 * (6 + 4 + 4));
});

const python = pythonOrSkip('oracle = DuckDB');

test.skipIf(python === null)('the oracle is as DuckDB at prefixes of the week', () => {
  const positions = [0, 1, 777, 16_384, 40_000, 80_001];
  const output = runPython(python!, ['scripts/python/duckdb_values.py', '--positions', positions.join(',')]);
  const moments: Moment[] = new TextDecoder()
    .decode(output)
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
  expect(moments.map(moment => moment.position)).toEqual(positions);
  for (const moment of moments) compare(moment, 7);
});

test.skipIf(python === null)('the oracle is as DuckDB at the end of the week, for all entities', () => {
  const output = runPython(python!, ['scripts/python/duckdb_values.py']);
  const moment: Moment = JSON.parse(new TextDecoder().decode(output));
  expect(compare(moment, 1)).toBeGreaterThan(26 * 3_000);
});

test.skipIf(python === null)('the committed values of the demo are DuckDB’s', () => {
  runPython(python!, ['scripts/python/duckdb_values.py', '--check', 'examples/flights/expected.json']);
});
