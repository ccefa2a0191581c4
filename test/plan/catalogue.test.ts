/** What the catalogue says of features, and when it says that they are whole. */
import { expect, test } from 'bun:test';
import { catalogueText, matching } from '../../src/cli/features.ts';
import { featureSets } from '../../src/http/feature_sets.ts';
import { catalogueOf, type Moment } from '../../src/plan/catalogue.ts';
import { ALL_KNOWN } from '../../src/plan/known.ts';
import { readsOf } from '../../src/kernel/layout.ts';
import { planOf } from '../compile/marked.ts';
import { layout } from '../kernel/columns.ts';

const DEFINITIONS = `events:
  sale: { shop: string, till: int64, cents: int64? }
entities: { till: [string, int64] }
about:
  events: { sale: { description: something sold, owner: tills } }
  entities: { till: where it is paid }
---
feature_set: tills
description: what is taken
owner: shops
version: 2
entity: till
source: sale
windows: [1h, 1d@30m, lifetime]
tile_offset: 15m
sql: |
  SELECT shop, till, SUM(cents) AS cents, MAX(cents) AS most
  FROM sale GROUP BY shop, till
describe: { cents: all that was taken }
units: { cents: cents, share: of the lifetime }
derive: { share: cents_1h / cents_lifetime, twice: share * 2 }
`;

const SINCE = Date.parse('2024-05-01T10:07:30Z');

function momentAt(nowMs: number | null): Moment {
  const micros = (ms: number) => BigInt(ms) * 1000n;
  const clocks = new Map(nowMs === null ? [] : [['sale', { at: micros(nowMs), since: micros(SINCE) }]]);
  return { nowMicros: nowMs === null ? null : micros(nowMs), clocks };
}

test('every feature, with what was said of it and what is kept', async () => {
  const plan = await planOf(DEFINITIONS);
  const { feature_sets } = featureSets(plan, { ...momentAt(SINCE), position: 3 });
  const [{ features, ...set }] = feature_sets as [(typeof feature_sets)[0]];
  expect(set).toEqual({
    name: 'tills',
    description: 'what is taken',
    owner: 'shops',
    version: 2,
    entity: {
      name: 'till',
      description: 'where it is paid',
      owner: '',
      keys: [
        { type: 'string', column: 'shop' },
        { type: 'int64', column: 'till' },
      ],
    },
    event: {
      name: 'sale',
      description: 'something sold',
      owner: 'tills',
      clock: '2024-05-01T10:07:30Z',
      since: '2024-05-01T10:07:30Z',
    },
    sql: 'SELECT shop, till, SUM(cents) AS cents, MAX(cents) AS most\nFROM sale GROUP BY shop, till\n',
  });
  const tiles = [
    { length_ms: 60_000, kept_ms: 7_260_000, rows_per_key: 121 },
    { length_ms: 1_800_000, kept_ms: 91_800_000, rows_per_key: 51 },
    { length_ms: 86_400_000, kept_ms: 176_400_000, rows_per_key: 3 },
    { length_ms: 0, kept_ms: null, rows_per_key: 1 },
  ];
  const cents = { name: 'tills:cents', function: 'sum', linear: true, tiles };
  expect(features.find(({ name }) => name === 'tills:cents_1d')).toEqual({
    name: 'tills:cents_1d',
    description: 'all that was taken',
    expression: 'SUM(cents) over 1d',
    type: 'int64',
    units: 'cents',
    window: { kind: 'sliding', length_ms: 86_400_000, step_ms: 1_800_000, offset_ms: 0, count: null },
    from: [],
    aggregates: [cents],
    warming_until: '2024-05-02T10:15:00Z',
  });
  expect(features.find(({ name }) => name === 'tills:most_lifetime')).toMatchObject({
    description: 'MAX(cents) over lifetime',
    units: null,
    window: { kind: 'lifetime', length_ms: null, step_ms: null, offset_ms: 0, count: null },
    aggregates: [{ name: 'tills:most', function: 'max', linear: false }],
    warming_until: null,
  });
  expect(features.find(({ name }) => name === 'tills:twice')).toMatchObject({
    window: null,
    from: ['tills:share'],
    aggregates: [cents],
    warming_until: '2024-05-01T11:08:00Z',
  });
});

/** The tile that a window begins with, when read at a moment, floor(t - W, r). */
function isWhole(nowMs: number, lengthMs: number, stepMs: number, offsetMs: number): boolean {
  const start = nowMs - lengthMs - offsetMs;
  return start - (((start % stepMs) + stepMs) % stepMs) + offsetMs >= SINCE;
}

test('a window is whole from the moment on that is told, and not before', async () => {
  const plan = await planOf(DEFINITIONS);
  for (const [name, lengthMs, stepMs] of [
    ['tills:cents_1h', 3_600_000, 60_000],
    ['tills:cents_1d', 86_400_000, 1_800_000],
  ] as const) {
    const warmOf = (nowMs: number) =>
      catalogueOf(plan, momentAt(nowMs))[0]!.features.find(({ feature }) => feature.name === name)!.warmMicros;
    const untilMs = Number(warmOf(SINCE)) / 1000;
    for (const nowMs of [SINCE, untilMs - 60_000, untilMs - 1, untilMs, untilMs + 1, untilMs + 86_400_000])
      expect([name, nowMs - untilMs, warmOf(nowMs) === null]).toEqual([
        name,
        nowMs - untilMs,
        isWhole(nowMs, lengthMs, stepMs, 900_000),
      ]);
  }
});

test('an aggregate that came later makes windows whole later, and no others', async () => {
  const plan = await planOf(DEFINITIONS);
  const laterMs = SINCE + 600_000;
  const known = new Map([['tills:cents', { ...ALL_KNOWN, position: 3, sinceMicros: BigInt(laterMs) * 1000n }]]);
  const warmOf = (name: string, moment: Moment) =>
    catalogueOf(plan, moment)[0]!.features.find(({ feature }) => feature.name === name)!.warmMicros!;
  const [first, later] = [momentAt(laterMs), { ...momentAt(laterMs), known }];
  expect(warmOf('tills:cents_1h', later) - warmOf('tills:cents_1h', first)).toBe(600_000_000n);
  expect(warmOf('tills:most_1h', later)).toBe(warmOf('tills:most_1h', first));
});

test('windows that are over, and series of them, are whole from the moment on at which the kernel begins them late enough', async () => {
  const windows = '[tumbling 1h, hopping 1d every 6h offset 1d, 2h offset 37m, 3 x 1h]';
  const plan = await planOf(
    DEFINITIONS.replace('[1h, 1d@30m, lifetime]', windows)
      .replace(/derive:.*\n/, '')
      .replace(/units:.*\n/, ''),
  );
  const { kernel, lookups } = await layout(plan);
  const answer = lookups.get('till')!;
  const entry = (nowMs: number, name: string) =>
    catalogueOf(plan, momentAt(nowMs))[0]!.features.find(({ feature }) => feature.name === name)!;
  for (const { name } of plan.features) {
    const untilMs = Number(entry(SINCE, name).warmMicros) / 1000;
    for (const nowMs of [SINCE, untilMs - 60_000, untilMs - 1, untilMs, untilMs + 1, untilMs + 86_400_000]) {
      kernel.exports.coverAt(answer.index, BigInt(nowMs) * 1000n, 0);
      const starts = readsOf(answer, answer.features.get(name)!).map(({ window }) =>
        kernel.exports.windowStart(answer.index, window),
      );
      const isWhole = Math.min(...starts) >= SINCE;
      expect([name, nowMs - untilMs, entry(nowMs, name).warmMicros === null]).toEqual([name, nowMs - untilMs, isWhole]);
    }
  }
  const told = featureSets(plan, { ...momentAt(SINCE), position: 3 }).feature_sets[0]!.features;
  expect(told.filter(({ name }) => name.startsWith('tills:cents')).map(({ window }) => window)).toEqual([
    { kind: 'hopping', length_ms: 3_600_000, step_ms: 3_600_000, offset_ms: 0, count: null },
    { kind: 'hopping', length_ms: 86_400_000, step_ms: 21_600_000, offset_ms: 86_400_000, count: null },
    { kind: 'offset', length_ms: 7_200_000, step_ms: 60_000, offset_ms: 2_220_000, count: null },
    { kind: 'sliding', length_ms: 3_600_000, step_ms: 60_000, offset_ms: 0, count: 3 },
  ]);
});

test('before any event nothing is known, and nothing is WARMING', async () => {
  const plan = await planOf(DEFINITIONS);
  const [set] = featureSets(plan, { ...momentAt(null), position: -1 }).feature_sets;
  expect(set!.event).toMatchObject({ clock: null, since: null });
  expect(set!.features.every(feature => feature.warming_until === null)).toBe(true);
});

test('for people, and only what is asked for', async () => {
  const sets = featureSets(await planOf(DEFINITIONS), { ...momentAt(SINCE), position: 3 });
  const text = catalogueText(matching(sets, '*cents_1*'));
  expect(text).toStartWith(
    [
      'tills: what is taken; owner shops; version 2',
      'of till (shop string, till int64), from sale; events from 2024-05-01T10:07:30Z to 2024-05-01T10:07:30Z',
      '',
      'feature ',
    ].join('\n'),
  );
  expect(text).toMatch(
    /^tills:cents_1h +int64, cents +all that was taken +sum +.*WARMING until 2024-05-01T11:08:00Z$/m,
  );
  expect(text.split('\n').length).toBe(6);
  expect(matching(sets, 'tills:share').feature_sets[0]!.features.length).toBe(1);
  expect(() => matching(sets, 'tills:shar')).toThrow('no feature is called like tills:shar');
  expect(() => matching(sets, 'tills.share')).toThrow('no feature is called like');
});
