/** Events that one kernel picks for several, each of which tiles and folds its share: together the rows of one that does it all. */
import { expect, test } from 'bun:test';
import { Stages } from '../../src/base/stages.ts';
import { foldGathered, gather, select } from '../../src/ingest/advance.ts';
import type { FoldedRow } from '../../src/kernel/folded_row.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { shardOf } from '../../src/kernel/key.ts';
import { takeRefused } from '../../src/kernel/late.ts';
import type { Layout } from '../../src/kernel/layout.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { gatherShare, pickShares, sharedBytes, takeShares } from '../../src/kernel/share.ts';
import { DOUBLE, INT64, OPTIONAL, STRING, type Type } from '../../src/plan/value.ts';
import { aggregate, column, DAY_MS, feature, lastN, optional, plan, read, sliding } from '../oracle/fixtures/spell.ts';
import { countedIds } from '../sim/engine.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, eventType, NEVER_MS } from './columns.ts';

const SHARDS = 3;
const START_MS = 983_664_000_000;
const DOUBLES: Type = { kind: 'list', of: { type: DOUBLE, presence: OPTIONAL } };
const TEXTS: Type = { kind: 'list', of: { type: STRING, presence: OPTIONAL } };

/** Values that stand in events, texts and lists that stand elsewhere, and two groups: by a text, and by a text and a number. */
const inputs = [optional('k', STRING), optional('n', INT64), optional('s', STRING), optional('v', DOUBLES)];
const [k, n, s, v] = inputs.map(({ name, type }) => column(name, type)) as [never, never, never, never];
const aggregates = [
  aggregate('one:count', 'e', [k], 'count', null, { entity: 'one' }),
  aggregate('one:sum', 'e', [k], 'sum', n, { entity: 'one' }),
  aggregate('one:last', 'e', [k], 'last', s, { entity: 'one' }),
  aggregate('one:set', 'e', [k], 'set', s, {
    ...{ entity: 'one', type: TEXTS, fn: { name: 'set', args: [s], limit: 9, params: [] } },
  }),
  aggregate('one:mean', 'e', [k], 'vectorAvg', v, {
    ...{ entity: 'one', type: DOUBLES, fn: { name: 'vectorAvg', args: [v], limit: 3, params: [] } },
  }),
  lastN('two:latest', 'e', [k, n], s, 3, { entity: 'two' }),
];
const both = plan({
  events: [eventType('e', inputs)],
  entities: [
    { name: 'one', keys: [STRING], at: null },
    { name: 'two', keys: [STRING, INT64], at: null },
  ],
  aggregates,
  sets: [
    { name: 'one', description: '', owner: '', entity: 'one', event: 'e', keys: [k], sql: '', at: null },
    { name: 'two', description: '', owner: '', entity: 'two', event: 'e', keys: [k, n], sql: '', at: null },
  ],
  features: [],
});
const withFeatures = {
  ...both,
  features: aggregates.map(of =>
    feature(both.sets.find(({ name }) => of.name.startsWith(name))!, of.name.slice(4), {
      ...read(of.name, of.type, { window: sliding(DAY_MS, 30 * 60_000) }),
    }),
  ),
};

async function laid(shards: number): Promise<{ layout: Layout; fold: Fold }> {
  const clock = { kind: 'event', maxJumpMs: NEVER_MS } as const;
  const settings = { clock, aheadMaxMs: 0, shards };
  const layout = layPlan(await loadKernel(), withFeatures, countedIds(withFeatures), settings);
  return { layout, fold: new Fold(layout.kernel, null) };
}

function lines(rng: Random, count: number): string[] {
  const text = () => rng.pick(['""', 'null', `"${'x'.repeat(rng.below(200))}"`, '"päivää"', `"${rng.below(9)}"`]);
  return Array.from({ length: count }, (_, i) => {
    const time = START_MS + i * 60_000 - (rng.chance(0.1) ? rng.below(5 * DAY_MS) : 0);
    const list = rng.pick(['null', '[1.5,2,3]', '[0.1,null,7]', '[]']);
    const key = rng.chance(0.05) ? 'null' : `"key ${rng.below(40)}"`;
    return `{"type":"e","time":${time},"data":{"k":${key},"n":${rng.pick(['1', '2', 'null'])},"s":${text()},"v":${list}}}`;
  });
}

const addressOf = ({ entity, key, levelMs, tileStartMs }: FoldedRow) =>
  `${entity} ${Buffer.from(key).toString('latin1')} ${levelMs} ${tileStartMs}`;

const rowsOf = (rows: FoldedRow[]) =>
  rows.map(row => `${addressOf(row)} ${Buffer.from(row.value).toString('hex')}`).sort();

test.each([1, 2])('seed %d', async seed => {
  const rng = new Random(seed);
  const all = lines(rng, 3000);
  const one = await laid(1);
  const dealer = await laid(SHARDS);
  const shards = await Promise.all(Array.from({ length: SHARDS }, () => laid(SHARDS)));
  const decoders = [one, dealer].map(({ layout }) => new Decoder(layout.kernel, layout.types));
  for (let from = 0; from < all.length; ) {
    const to = Math.min(all.length, from + 1 + rng.below(rng.chance(0.2) ? 900 : 20));
    for (const decoder of decoders) {
      decoder.fill(bytesOf(all.slice(from, to).join('\n')));
      expect(decoder.next(from, null) && decoder.isDone).toBe(true);
    }
    from = to;
    gather(one.layout, new Stages());
    const { kernel } = dealer.layout;
    select(dealer.layout);
    pickShares(kernel, 0, decoders[1]!.count);
    if (rng.chance(0.3)) continue;
    const bytes = sharedBytes(kernel);
    const shares = takeShares(kernel, SHARDS, new SharedArrayBuffer(bytes));
    expect(shares.reduce((sum, share) => sum + share.length, 0)).toBe(bytes);
    expect(sharedBytes(kernel)).toBe(0);
    for (const [i, { layout, fold }] of shards.entries()) {
      gatherShare(layout.kernel, shares[i]!);
      if (rng.chance(0.2)) foldGathered({ layout, folds: [fold] }, new Stages());
    }
  }
  for (const [i, share] of takeShares(
    dealer.layout.kernel,
    SHARDS,
    new SharedArrayBuffer(sharedBytes(dealer.layout.kernel)),
  ).entries())
    gatherShare(shards[i]!.layout.kernel, share);
  for (const { layout, fold } of [one, ...shards]) foldGathered({ layout, folds: [fold] }, new Stages());
  const parts = shards.map(({ fold }) => fold.dirtyRows());
  for (const [i, rows] of parts.entries()) {
    expect(rows.length).toBeGreaterThan(100);
    for (const { entity, key } of rows) expect(shardOf(one.layout.kernel, entity, key, SHARDS)).toBe(i);
  }
  expect(rowsOf(parts.flat())).toEqual(rowsOf(one.fold.dirtyRows()));
  const count = ({ layout }: { layout: Layout }) => takeRefused(layout).reduce((sum, each) => sum + each.count, 0);
  expect(shards.reduce((sum, shard) => sum + count(shard), 0)).toBe(count(one));
});

test('a share that is cut off is a fault of ours, and stops', async () => {
  const [dealer, shard] = [await laid(2), await laid(2)];
  const decoder = new Decoder(dealer.layout.kernel, dealer.layout.types);
  decoder.fill(bytesOf(lines(new Random(3), 100).join('\n')));
  decoder.next(0, null);
  select(dealer.layout);
  pickShares(dealer.layout.kernel, 0, decoder.count);
  const memory = new SharedArrayBuffer(sharedBytes(dealer.layout.kernel));
  const [share] = takeShares(dealer.layout.kernel, 2, memory);
  expect(() => gatherShare(shard.layout.kernel, share!.subarray(0, share!.length - 8))).toThrow('assembly/gather.ts');
});
