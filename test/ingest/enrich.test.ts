/** What events are answered with is JSON that says exactly what was read, whatever the types. */
import { expect, test } from 'bun:test';
import type { EventType } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME, type Type } from '../../src/plan/value.ts';
import { aggregate, column, optional, plan, read, required } from '../oracle/fixtures/spell.ts';
import { parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine } from '../sim/engine.ts';
import { body } from '../sim/flights.ts';
import { compareEnriched } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';

const OPTIONAL_TEXT = { type: STRING, presence: { kind: 'optional' } } as const;
const REALS: Type = { kind: 'list', of: { type: DOUBLE, presence: { kind: 'optional' } } };
const HOME: Type = {
  kind: 'struct',
  name: null,
  fields: [optional('a "street"', STRING), optional('reals', REALS), required('at', TIME)],
};
const HOMES: Type = { kind: 'list', of: { type: HOME, presence: { kind: 'optional' } } };
const COUNTED = (key: Type): Type => ({ kind: 'map', key, of: { type: INT64, presence: { kind: 'required' } } });

const INPUTS: [string, Type][] = [
  ...([
    ['text', STRING],
    ['whole', INT64],
    ['real', DOUBLE],
    ['ok', BOOL],
    ['at', TIME],
  ] as [string, Type][]),
  ...([
    ['reals', REALS],
    ['texts', { kind: 'list', of: OPTIONAL_TEXT }],
    ['homes', HOMES],
  ] as [string, Type][]),
];
const COUNTED_BY: [string, Type][] = [
  ...([
    ['text', STRING],
    ['whole', INT64],
    ['real', DOUBLE],
    ['ok', BOOL],
    ['at', TIME],
  ] as [string, Type][]),
];

/** Each input is a feature, and of each scalar how often the event's key had each of its values. */
const EVENT: EventType = {
  ...{ name: 'e', onFault: 'reject', weight: null, at: null },
  inputs: [required('k', STRING), ...INPUTS.map(([name, type]) => optional(name, type))],
  columns: COUNTED_BY.map(([name, type]) => ({
    name: `by_${name}`,
    expression: read(`by_${name}`, COUNTED(type), { keys: [column('k', STRING)] }),
  })),
  features: [...INPUTS.map(([name]) => name), ...COUNTED_BY.map(([name]) => `by_${name}`)].map(name => ({
    ...{ column: name, error: null, description: '', at: null },
  })),
};
const PLAN = plan({
  events: [EVENT],
  aggregates: COUNTED_BY.map(([name, type]) => {
    const made = aggregate(`by_${name}`, 'e', [column('k', STRING)], 'valueCounts', column(name, type));
    return { ...made, type: COUNTED(type), fn: { ...made.fn, limit: 1000 } };
  }),
});

const LETTERS = [
  'a',
  'é',
  '漢',
  '😀',
  '"',
  '\\',
  '/',
  '\n',
  '\r',
  '\t',
  '\b',
  '\f',
  '\0',
  '\x1f',
  '\x7f',
  '\u2028',
  '﻿',
];
const REAL_TEXTS = [
  '0',
  '-0',
  '0.1',
  '1e21',
  '-1e-7',
  '1e400',
  '-1e400',
  '5e-324',
  '123456789.5',
  '-17',
  '2.5e15',
  '1e300',
];
const WHOLE_TEXTS = ['0', '-1', '9223372036854775807', '-9223372036854775808', '9007199254740993', '100', '-10'];
const TIME_TEXTS = [
  '"2024-01-01T00:00:00Z"',
  '"1969-12-31T23:59:59.999999Z"',
  '"0001-01-01T00:00:00.120Z"',
  '17',
  '-1',
];

function randomText(rng: Random): string {
  return JSON.stringify(
    Array.from({ length: rng.below(40) }, () => rng.pick(rng.chance(0.8) ? ['x', 'y'] : LETTERS)).join(''),
  );
}

/** JSON of a value of a type, or null. */
function randomJson(rng: Random, type: Type): string {
  if (rng.chance(0.1)) return 'null';
  switch (type.kind) {
    case 'string':
      return randomText(rng);
    case 'int64':
      return rng.pick(WHOLE_TEXTS);
    case 'double':
      return rng.chance(0.5) ? rng.pick(REAL_TEXTS) : String((rng.below(2 ** 31) - 2 ** 30) / (1 + rng.below(1000)));
    case 'bool':
      return rng.pick(['true', 'false']);
    case 'time':
      return rng.pick(TIME_TEXTS);
    case 'list':
      return `[${Array.from({ length: rng.below(4) }, () => randomJson(rng, type.of.type)).join(',')}]`;
    case 'struct': {
      const of = (field: (typeof type.fields)[number]) =>
        field.presence.kind === 'required' ? '12' : randomJson(rng, field.type);
      return `{${type.fields.map(field => `${JSON.stringify(field.name)}:${of(field)}`).join(',')}}`;
    }
    default:
      throw new Error(`events have no ${type.kind}`);
  }
}

test('values of all types are spelt as they are, and read back the same', async () => {
  const rng = new Random(3);
  const lines = Array.from({ length: 600 }, (_, i) => {
    const data = [['k', `"${rng.below(20)}"`], ...INPUTS.map(([name, type]) => [name, randomJson(rng, type)])];
    const members = data.map(([name, value]) => `"${name}":${value}`).join(',');
    return new TextEncoder().encode(`{"type":"${i % 50 === 7 ? 'other' : 'e'}","time":${i - 300},"data":{${members}}}`);
  });
  const log = parseLog(body(lines), PLAN, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  expect(log.records.filter(({ bad }) => bad === null).length).toBeGreaterThan(500);
  const engine = await openEngine(PLAN, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  for (let from = 0; from < lines.length; from += 150) {
    const { parts } = await engine.ingest.enrich(body(lines.slice(from, from + 150)), 'ndjson');
    compareEnriched(PLAN, log, parts, from);
  }
  await engine.close();
});
