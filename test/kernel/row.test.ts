/** Rows as an engine stores them, read by other hands: @bufbuild/protobuf and Google's Python. */
import { describe, expect, test } from 'bun:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { buildDescriptors, pythonOrSkip, runPython } from '../../scripts/python.ts';
import {
  FeaturesCombinedCompatibleSchema,
  FeaturesCombinedLazySchema,
  FeaturesCombinedSchema,
  MapFieldEntrySchema,
} from '../../src/gen/tilefold/v1/row_pb.ts';
import type { Expression } from '../../src/plan/expression.ts';
import type { AggregateName, Plan } from '../../src/plan/plan.ts';
import { DOUBLE, INT64, REQUIRED, STRING, type Type } from '../../src/plan/value.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { aggregate, column, feature, HOUR_MS, lastN, optional, plan, read, sliding } from '../oracle/fixtures/spell.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { memoryDatabase, openEngine } from '../sim/engine.ts';
import { body, smallWeek, wild } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, eventType } from './columns.ts';
import { stateOf } from './rows.ts';

async function rowsOf(of: Plan, ndjson: Uint8Array): Promise<Uint8Array[]> {
  const engine = await openEngine(of, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await engine.ingest.post(ndjson, 'ndjson');
  engine.ingest.barrier();
  const rows = Array.from(engine.store.scan(), ({ value }) => value.slice());
  await engine.close();
  return rows;
}

/** Sums at and beyond the ends of int64, extremes of nothing but nulls, and ids of more than one byte. */
function widePlan(): Plan {
  const [key, value] = [column('k', STRING), column('v', INT64)];
  const set = { name: 'set', description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null };
  const fns: AggregateName[] = ['count', 'sum', 'avg', 'min', 'max'];
  const aggregates = Array.from({ length: 150 }, (_, i) =>
    aggregate(`set:${i}`, 'e', [key], fns[i % fns.length]!, i === 0 ? null : value, { entity: 'k' }),
  );
  const shown = aggregates.filter((_, i) => i < 5 || i > 140);
  return plan({
    events: [eventType('e', [optional('k', STRING), optional('v', INT64)])],
    entities: [{ name: 'k', keys: [STRING], at: null }],
    aggregates,
    sets: [set],
    features: shown.flatMap(of => [
      feature(set, `${of.name.slice(4)}_lifetime`, read(of.name, of.type)),
      feature(set, `${of.name.slice(4)}_2h`, read(of.name, of.type, { window: sliding(2 * HOUR_MS, 60_000) })),
    ]),
  });
}

function wideEvents(): Uint8Array {
  const rng = new Random(3);
  const values = ['9223372036854775807', '-9223372036854775808', '1', '-1', '0', 'null'];
  const lines = Array.from({ length: 3000 }, (_, i) => {
    const key = rng.pick(['up', 'down', 'mixed', 'nulls', 'größe']);
    const v = key === 'up' ? values[0] : key === 'down' ? values[1] : key === 'nulls' ? 'null' : rng.pick(values);
    return `{"type":"e","time":${-50_000_000 + i * 30_000},"data":{"k":"${key}","v":${v}}}`;
  });
  return bytesOf(lines.join('\n'));
}

/** The latest values of every type, few and many, among them texts that are too long and doubles that are no numbers. */
function recentPlan(): Plan {
  const key = column('k', STRING);
  const set = { name: 'set', description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null };
  const inputs = { v: INT64, d: DOUBLE, s: STRING };
  const aggregates = Object.entries(inputs).flatMap(([name, type]) =>
    [1, 40, 1000].map(limit => lastN(`set:${name}_${limit}`, 'e', [key], column(name, type), limit, { entity: 'k' })),
  );
  return plan({
    events: [
      eventType('e', [optional('k', STRING), ...Object.entries(inputs).map(([name, type]) => optional(name, type))]),
    ],
    entities: [{ name: 'k', keys: [STRING], at: null }],
    aggregates,
    sets: [set],
    features: aggregates.flatMap(of => [
      feature(set, `${of.name.slice(4)}_lifetime`, read(of.name, of.type)),
      feature(set, `${of.name.slice(4)}_2h`, read(of.name, of.type, { window: sliding(2 * HOUR_MS, 60_000) })),
    ]),
  });
}

/** Values in an order, one of each kind, and registers, few and many. */
function rankedPlan(): Plan {
  const key = column('k', STRING);
  const set = { name: 'set', description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null };
  const inputs = { v: INT64, d: DOUBLE, s: STRING };
  const of = (name: string, fn: AggregateName, limit: number, args: Expression[]) => {
    const type: Type = { kind: 'list', of: { type: args[0]!.type, presence: REQUIRED } };
    const more = { entity: 'k', type: fn === 'approxCountDistinct' ? INT64 : type };
    return aggregate(`set:${name}`, 'e', [key], fn, args[0]!, { ...more, fn: { name: fn, args, limit, params: [] } });
  };
  const fns = ['firstN', 'lastDistinct', 'list', 'max', 'min', 'set'] as const;
  const aggregates = Object.entries(inputs).flatMap(([name, type]) => [
    ...fns.map(fn => of(`${fn}_${name}`, fn, 30, [column(name, type)])),
    ...(['argMax', 'argMin'] as const).map(fn => of(`${fn}_${name}`, fn, 3, [column(name, type), column('s', STRING)])),
    ...[4, 12].map(precision =>
      of(`count${precision}_${name}`, 'approxCountDistinct', precision, [column(name, type)]),
    ),
  ]);
  return plan({
    events: [
      eventType('e', [optional('k', STRING), ...Object.entries(inputs).map(([name, type]) => optional(name, type))]),
    ],
    entities: [{ name: 'k', keys: [STRING], at: null }],
    aggregates,
    sets: [set],
    features: aggregates.flatMap(one => [
      feature(set, `${one.name.slice(4)}_lifetime`, read(one.name, one.type)),
      feature(set, `${one.name.slice(4)}_2h`, read(one.name, one.type, { window: sliding(2 * HOUR_MS, 60_000) })),
    ]),
  });
}

function recentEvents(): Uint8Array {
  const rng = new Random(4);
  const texts = ['""', '"a"', '"größe"', 'null', JSON.stringify('x'.repeat(1024)), JSON.stringify('x'.repeat(1025))];
  const lines = Array.from({ length: 3000 }, (_, i) => {
    const d = rng.pick(['-0.0', '0.5', '1e400', '-1e400', '1e-320', 'null']);
    const data = `"k":"${rng.pick(['a', 'b', 'nulls'])}","v":${rng.below(9) - 4},"d":${d},"s":${rng.pick(texts)}`;
    return `{"type":"e","time":${-50_000_000 + (i + rng.below(40)) * 20_000},"data":{${data.replace(/(nulls.*"v":)[-\d]+.*/, '$1null')}}}`;
  });
  return bytesOf(lines.join('\n'));
}

const sources: [string, () => Promise<Uint8Array[]>][] = [
  ['flights', async () => rowsOf(flightsPlan(), body(wild(await smallWeek(20, 9), 5)))],
  ['wide sums and empty extremes', () => rowsOf(widePlan(), wideEvents())],
  ['the latest values', () => rowsOf(recentPlan(), recentEvents())],
  ['values in an order', () => rowsOf(rankedPlan(), recentEvents())],
];

describe.each(sources)('rows of %s', (name, make) => {
  const rows = make();

  test('are read as all three messages, and written again as the same bytes', async () => {
    expect((await rows).length).toBeGreaterThan(1000);
    for (const row of await rows) {
      const combined = fromBinary(FeaturesCombinedSchema, row);
      const compatible = fromBinary(FeaturesCombinedCompatibleSchema, row);
      const lazy = fromBinary(FeaturesCombinedLazySchema, row);
      const ids = compatible.features.map(({ key }) => key);
      expect(ids.length).toBeGreaterThan(0);
      for (let i = 1; i < ids.length; i++)
        if (ids[i]! <= ids[i - 1]!) throw new Error(`${hex(row)}: ids do not ascend`);
      // A map of integers is written in their order here, so even that gives the same bytes.
      const again = [
        toBinary(FeaturesCombinedSchema, combined),
        toBinary(FeaturesCombinedCompatibleSchema, compatible),
        toBinary(FeaturesCombinedLazySchema, lazy),
      ];
      for (const bytes of again)
        if (hex(bytes) !== hex(row)) throw new Error(`${hex(row)} is written again as ${hex(bytes)}`);
      for (const [i, entry] of lazy.features.entries()) {
        const { key, value } = fromBinary(MapFieldEntrySchema, entry);
        if (key !== ids[i] || !Bun.deepEquals(stateOf(value!), stateOf(combined.features[key!]!)))
          throw new Error(`${hex(row)}: the messages differ in ${key}`);
      }
    }
  });

  const python = pythonOrSkip(`rows of ${name} = Google's protobuf`);

  test.skipIf(python === null)('are read by Google’s Python as the same states', async () => {
    const sample = (await rows).filter((_, i) => i % 3 === 0 || name !== 'flights');
    const input = sample.flatMap(row => [new Uint8Array(Uint32Array.of(row.length).buffer), row]);
    const output = runPython(
      python!,
      ['scripts/python/read_rows.py', buildDescriptors()],
      new Uint8Array(Buffer.concat(input)),
    );
    const lines = new TextDecoder().decode(output).trim().split('\n');
    expect(lines.length).toBe(sample.length);
    for (const [i, line] of lines.entries()) {
      const { features } = fromBinary(FeaturesCombinedCompatibleSchema, sample[i]!);
      const ours = features.map(({ key, value }) => [BigInt(key), stateOf(value!)]);
      const theirs = exactJson(line) as { compatible: unknown };
      if (!Bun.deepEquals(theirs.compatible, ours)) throw new Error(`${hex(sample[i]!)}: ${line}`);
    }
  });
});

test('among the wide rows are sums beyond int64 in both directions, and extremes of nothing', async () => {
  const states = (await sources[1]![1]()).flatMap(row =>
    fromBinary(FeaturesCombinedCompatibleSchema, row).features.map(
      ({ value }) => stateOf(value!) as { [of: string]: unknown },
    ),
  );
  const sums = states.flatMap(state => (typeof state.sum === 'bigint' ? [state.sum] : []));
  expect(sums.filter(sum => sum > 2n ** 63n - 1n).length).toBeGreaterThan(10);
  expect(sums.filter(sum => sum < -(2n ** 63n)).length).toBeGreaterThan(10);
  expect(states.filter(state => state.min === null || state.max === null).length).toBeGreaterThan(10);
});

/** JSON with integers of any length. */
function exactJson(text: string): unknown {
  return JSON.parse(text, (_name: string, value: unknown, context?: { source: string }) =>
    typeof value === 'number' ? BigInt(context!.source) : value,
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
