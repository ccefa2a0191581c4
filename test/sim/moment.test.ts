/** FIRST and LAST, end to end, over every type: by event time, ties by position, out of memory and out of the store. */
import { expect, test } from 'bun:test';
import { STATUS } from '../../src/kernel/window.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME, type Type } from '../../src/plan/value.ts';
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

const WINDOWS = { '2h': sliding(2 * HOUR_MS, 60_000), lifetime: LIFETIME };
const COLUMNS: Record<string, Type> = { i: INT64, d: DOUBLE, s: STRING, b: BOOL, t: TIME };
const WHO = ['ann', 'bob', 'çağla', ''];

function momentsPlan(): Plan {
  const keys = [column('who', STRING)];
  const set = { name: 's', description: '', owner: '', entity: 'who', event: 'seen', keys, sql: '', at: null };
  const inputs = [required('who', STRING), ...Object.entries(COLUMNS).map(([name, type]) => optional(name, type))];
  const of = Object.entries(COLUMNS).flatMap(([name, type]) =>
    (['first', 'last'] as const).map(fn =>
      aggregate(`s:${fn}_${name}`, 'seen', keys, fn, column(name, type), { entity: 'who' }),
    ),
  );
  return plan({
    events: [{ name: 'seen', inputs, columns: [], onFault: 'reject', weight: null, at: null }],
    entities: [{ name: 'who', keys: [STRING], at: null }],
    sets: [set],
    aggregates: of,
    features: of.flatMap(each =>
      Object.entries(WINDOWS).map(([suffix, window]) =>
        feature(set, `${each.name.slice(2)}_${suffix}`, read(each.name, each.type, { window })),
      ),
    ),
  });
}

const TEXTS = ['""', '"a"', '"\\u0041\\n\\ud83d\\ude00"', '"\\ud800"', '"żółć"', JSON.stringify('long '.repeat(60))];

function seenLine(i: number, rng: Random): string {
  // Whole seconds, a few of them over and over: most events share theirs with others.
  const time = new Date(Date.UTC(2024, 0, 1) + Math.floor(i / 4) * 10_000 - rng.below(30) * 10_000).toISOString();
  const or = (text: string) => (rng.chance(0.3) ? 'null' : text);
  const values = [
    `"i":${or(String(rng.below(5) - 2))}`,
    `"d":${or(rng.pick(['-0.0', '0.5', '1e400', '1e-320', '3']))}`,
    `"s":${or(rng.pick(TEXTS))}`,
    `"b":${or(String(rng.chance(0.5)))}`,
    `"t":${or(`"1969-12-31T23:59:5${rng.below(10)}.000001Z"`)}`,
  ];
  return `{"type":"seen","time":"${time}","data":{"who":${JSON.stringify(rng.pick(WHO))},${values.join()}}}`;
}

test('first and last = oracle at many prefixes, and their rows do not show how events were cut', async () => {
  const moments = momentsPlan();
  const rng = new Random(5);
  const lines = Array.from({ length: 1500 }, (_, i) => seenLine(i, rng));
  const log = parseLog(lines.join('\n'), moments, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const rows: Map<string, string>[] = [];
  let asked = 0;
  for (const [shards, step] of [
    [1, 30],
    [1, 7],
    [3, 1500],
  ] as const) {
    const disk = new SimulatedDisk(1);
    const engine = await openEngine(moments, { disk, db: memoryDatabase(), shards, segmentBytes: 1 << 16 });
    for (let from = 0; from < lines.length; from += step) {
      await engine.ingest.post(new TextEncoder().encode(lines.slice(from, from + step).join('\n')), 'ndjson');
      if (step !== 30) continue;
      if (rng.chance(0.3)) engine.ingest.barrier();
      if (engine.folds[0]!.dirtyCount === 0) engine.folds[0]!.evict(0);
      const p = engine.ingest.position;
      const answer = engine.reader.lookup({ features: ['s:*'], entities: { who: [...WHO, 'nobody'] }, at: null });
      for (const found of answer.entities[0]!.features)
        for (const [row, who] of [...WHO, 'nobody'].entries()) {
          const wanted = value(moments, log, found.name, [who], p, now(log, p));
          const got = { value: valueAt(found, row), status: STATUS[found.statuses[row]!] };
          asked++;
          if (!Object.is(got.value, wanted.value) || got.status !== wanted.status)
            expect({ p, who, feature: found.name, ...got }).toEqual({ p, who, feature: found.name, ...wanted });
        }
    }
    engine.ingest.barrier();
    rows.push(rowMap(engine.store));
    await engine.close();
  }
  expect(asked).toBe(50 * 5 * 20);
  expect(rows[1]).toEqual(rows[0]!);
  expect(rows[2]).toEqual(rows[0]!);
});
