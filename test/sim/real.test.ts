/** Doubles, end to end: whatever their sizes, order, cuts and retractions, sums and means are exact and rounded once. */
import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { STATUS } from '../../src/kernel/window.ts';
import type { AggregateName, Plan } from '../../src/plan/plan.ts';
import { DOUBLE, INT64, STRING } from '../../src/plan/value.ts';
import {
  aggregate,
  column,
  feature,
  HOUR_MS,
  LIFETIME,
  optional,
  plan,
  read,
  required,
  sliding,
} from '../oracle/fixtures/spell.ts';
import { parseLog } from '../oracle/log.ts';
import { now, value } from '../oracle/naive.ts';
import { SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from './engine.ts';
import { valueAt } from './judge.ts';
import { Random } from './random.ts';

const FUNCTIONS: AggregateName[] = ['sum', 'avg', 'min', 'max', 'count'];
const WINDOWS = { '2h': sliding(2 * HOUR_MS, 60_000), lifetime: LIFETIME };

/** Prices of things, by kind. With `retracts`, an event's `op` is its weight, and only linear functions stand over it. */
function pricesPlan(retracts: boolean): Plan {
  const keys = [column('kind', STRING)];
  const set = { name: 's', description: '', owner: '', entity: 'kind', event: 'price', keys, sql: '', at: null };
  const inputs = [required('kind', STRING), optional('x', DOUBLE), optional('op', INT64)];
  const weight = retracts ? column('op', INT64) : null;
  const of = FUNCTIONS.filter(fn => !retracts || (fn !== 'min' && fn !== 'max')).map(fn =>
    aggregate(`s:${fn}`, 'price', keys, fn, column('x', DOUBLE), { entity: 'kind' }),
  );
  return plan({
    events: [{ name: 'price', inputs, columns: [], onFault: 'reject', weight, at: null }],
    entities: [{ name: 'kind', keys: [STRING], at: null }],
    sets: [set],
    aggregates: of,
    features: of.flatMap(each =>
      Object.entries(WINDOWS).map(([suffix, window]) =>
        feature(set, `${each.name.slice(2)}_${suffix}`, read(each.name, each.type, { window })),
      ),
    ),
  });
}

const EXTREMES = ['1.7976931348623157e308', '-1.7976931348623157e308', '5e-324', '-5e-324', '2.2250738585072014e-308'];
const ODD = ['1e400', '-1e400', '-0.0', '0', '9007199254740993', '0.1', '1e23', '123456789012345678901234567890'];

/** A double as JSON, of a kind of trouble that the key names. */
function priceText(kind: string, rng: Random): string {
  switch (kind) {
    case 'money':
      return (rng.below(2_000_000) / 100 - 10_000).toFixed(2);
    case 'cancel':
      return rng.chance(0.4) ? rng.pick(['1e16', '-1e16', '1e100', '-1e100']) : String(rng.next());
    case 'tiny':
      return `${(rng.next() - 0.5) * 10}e-${300 + rng.below(24)}`;
    case 'huge':
      return rng.chance(0.3) ? rng.pick(EXTREMES) : `${rng.next() - 0.5}e${rng.below(309)}`;
    case 'odd':
      return rng.chance(0.02) ? rng.pick(ODD) : rng.pick(ODD.slice(2));
    default:
      return `${rng.next() - 0.5}e${rng.below(600) - 300}`;
  }
}

const KINDS = ['money', 'cancel', 'tiny', 'huge', 'odd', 'any'];

/** With retractions, every third event takes back an earlier one of its kind. */
function priceLines(count: number, retracts: boolean, rng: Random): string[] {
  const given: [string, string][] = [];
  return Array.from({ length: count }, (_, i) => {
    const back = retracts && given.length > 0 && rng.chance(1 / 3);
    const [kind, x] = back ? given.splice(rng.below(given.length), 1)[0]! : newPrice(rng);
    if (!back) given.push([kind, x]);
    const time = new Date(Date.UTC(2024, 0, 1) + i * 20_000 - rng.below(600_000)).toISOString();
    return `{"type":"price","time":"${time}","data":{"kind":"${kind}","x":${x},"op":${back ? -1 : 1}}}`;
  });
}

function newPrice(rng: Random): [string, string] {
  const kind = rng.pick(KINDS);
  return [kind, rng.chance(0.02) ? 'null' : priceText(kind, rng)];
}

test.each([
  [11, false],
  [12, true],
])('seed %d, retractions %p: lookups = oracle, whatever the cuts and shards', async (seed, retracts) => {
  const prices = pricesPlan(retracts);
  const lines = priceLines(2000, retracts, new Random(seed));
  const log = parseLog(lines.join('\n'), prices, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const rows: Map<string, string>[] = [];
  let asked = 0;
  for (const [shards, step] of [
    [1, 100],
    [1, 3],
    [3, 777],
  ] as const) {
    const disk = new SimulatedDisk(seed);
    const engine = await openEngine(prices, { disk, db: memoryDatabase(), shards, segmentBytes: 1 << 16 });
    for (let from = 0; from < lines.length; from += step) {
      await engine.ingest.post(new TextEncoder().encode(lines.slice(from, from + step).join('\n')), 'ndjson');
      if (step !== 100) continue;
      const p = engine.ingest.position;
      const answer = engine.reader.lookup({ features: ['s:*'], entities: { kind: KINDS }, at: null });
      for (const found of answer.entities[0]!.features)
        for (const [row, kind] of KINDS.entries()) {
          const wanted = value(prices, log, found.name, [kind], p, now(log, p));
          const got = { value: valueAt(found, row), status: STATUS[found.statuses[row]!] };
          asked++;
          if (!Object.is(got.value, wanted.value) || got.status !== wanted.status)
            expect({ p, kind, feature: found.name, ...got }).toEqual({ p, kind, feature: found.name, ...wanted });
        }
    }
    engine.ingest.barrier();
    rows.push(rowMap(engine.store));
    await engine.close();
  }
  expect(asked).toBe(20 * KINDS.length * (retracts ? 6 : 10));
  expect(rows[1]).toEqual(rows[0]!);
  expect(rows[2]).toEqual(rows[0]!);
});

test('thousands of the widest doubles in one tile and one batch', async () => {
  const prices = pricesPlan(false);
  // Just below 4 a double's bits lie as far up in two chunks of the sum as they can.
  const lines = Array.from(
    { length: 4096 },
    (_, i) => `{"type":"price","time":${1_700_000_000_000 + i},"data":{"kind":"wide","x":3.9999999999999996}}`,
  );
  const log = parseLog(lines.join('\n'), prices, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const engine = await openEngine(prices, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await engine.ingest.post(new TextEncoder().encode(lines.join('\n')), 'ndjson');
  const features = ['s:sum_lifetime', 's:avg_lifetime'];
  const answer = engine.reader.lookup({ features, entities: { kind: ['wide'] }, at: null });
  const p = engine.ingest.position;
  const wanted = features.map(name => value(prices, log, name, ['wide'], p, now(log, p)).value);
  expect(answer.entities[0]!.features.map(found => valueAt(found, 0))).toEqual(wanted);
  expect(wanted).toEqual([16383.999999999998, 3.9999999999999996]);
  await engine.close();
});

const python = pythonOrSkip('sums of doubles by math.fsum and fractions');

test.skipIf(python === null)('sums and means are those of math.fsum and of fractions', async () => {
  const prices = pricesPlan(false);
  const lines = priceLines(4000, false, new Random(13)).filter(line => !line.includes('e400'));
  const engine = await openEngine(prices, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await engine.ingest.post(new TextEncoder().encode(lines.join('\n')), 'ndjson');
  const kinds = KINDS.filter(kind => kind !== 'huge');
  const features = ['s:sum_lifetime', 's:avg_lifetime'];
  const answer = engine.reader.lookup({ features, entities: { kind: kinds }, at: null });
  const [sums, means] = answer.entities[0]!.features.map(({ values }) => [...(values as Float64Array)]);
  const terms = kinds.map(kind =>
    lines
      .map(line => JSON.parse(line).data)
      .filter(data => data.kind === kind && data.x !== null)
      .map(data => data.x),
  );
  const script = `
import json, math, sys
from fractions import Fraction
print(json.dumps([[math.fsum(t), float(Fraction(sum(map(Fraction, t))) / len(t))] for t in json.load(sys.stdin)]))
`;
  const given = new TextEncoder().encode(JSON.stringify(terms));
  // Python's JSON has every digit of a double that counts.
  const shown = JSON.parse(new TextDecoder().decode(runPython(python!, ['-c', script], given))) as number[][];
  expect(shown.map(([sum]) => sum!)).toEqual(sums!);
  expect(shown.map(([, mean]) => mean!)).toEqual(means!);
  await engine.close();
});
